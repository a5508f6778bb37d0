@compute @workgroup_size(WORKGROUP)
fn batch_norm_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let c = i % C;
    let scale = gamma_of(c) / sqrt(load_variance(c) + EPSILON);
    var y = (load_x(i) - load_mean(c)) * scale;
    if HAS_BETA == 1u {
        y += load_beta(c);
    }
    out[i] = y;
}
