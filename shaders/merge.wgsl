// merge: sums and concatenations.
//
//   add                   out = a + b
//   concatenate_forward   out[r] = a[r] ++ b[r]
//   concatenate_backward  out[r, i] = f'(b) * a[r, FIRST + i]
//
// One invocation computes one Cell. Rows lie along the last axis. Host constants in Cells: LEN, the
// output; A and B, a row of a and of b, for the gradient a row of out and of a; FIRST; and
// HAS_THROUGH. The host declares load_a(i), load_b(i) and the activation.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn add(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = load_a(i) + load_b(i);
}

@compute @workgroup_size(WORKGROUP)
fn concatenate_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let row = i / (A + B);
    let column = i % (A + B);
    if column < A {
        out[i] = load_a(row * A + column);
    } else {
        out[i] = load_b(row * B + column - A);
    }
}

// a = dy, b = the tensor of the activation, out = dx
@compute @workgroup_size(WORKGROUP)
fn concatenate_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    var v = load_a(i / A * B + FIRST + i % A);
    if HAS_THROUGH == 1u {
        v *= derivative(load_b(i));
    }
    out[i] = v;
}
