@compute @workgroup_size(WORKGROUP)
fn batch_norm_backward_input(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let c = i % C;
    let cells = step.rows * CELLS;
    let scale = 1.0 / sqrt(load_variance(c) + EPSILON);
    var rest = Cell(0.0);
    if HAS_SUMS == 1u {
        let normal = (load_x(i) - load_mean(c)) * scale;
        rest = (load_dbeta(c) + normal * load_dgamma(c)) / f32(cells);
    }
    let dx = gamma_of(c) * scale * (load_dy(i) - rest);
    out[i] = select(Cell(0.0), dx, Bools(i / C < cells));
}
