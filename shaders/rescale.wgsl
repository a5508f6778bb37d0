// rescale: y = SCALE * x + OFFSET; the backward pass is dx = f'(through) * SCALE * dy.
//
// One invocation computes one Cell. Host constants: LEN in Cells, SCALE, OFFSET, HAS_THROUGH. The
// host declares load_x(i), load_through(i) and the activation.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn rescale(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    var v = SCALE * load_x(i) + OFFSET;
    if HAS_THROUGH == 1u {
        v *= derivative(load_through(i));
    }
    out[i] = v;
}
