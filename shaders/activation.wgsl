// activation: pointwise functions that are not fused.
//
//   forward   y = f(x)
//   backward  dx = f'(y) * dy
//
// One invocation computes one Cell. Host constants: LEN in Cells. The host declares the activation.

@group(1) @binding(0) var<storage, read> a: array<Cell>;
@group(1) @binding(1) var<storage, read> b: array<Cell>;
@group(1) @binding(2) var<storage, read_write> out: array<Cell>;

// a = x, b is not read, out = y
@compute @workgroup_size(WORKGROUP)
fn activation_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = activate(a[i]);
}

// a = y, b = dy, out = dx
@compute @workgroup_size(WORKGROUP)
fn activation_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = derivative(a[i]) * b[i];
}
