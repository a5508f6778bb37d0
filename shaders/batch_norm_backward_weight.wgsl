// batch_norm_backward_weight: the gradients of gamma and beta, channel by channel.
//
//   dbeta[c] = Σ_i dy[i, c]
//   dgamma[c] = Σ_i dy[i, c] * (x[i, c] - mean[c]) / sqrt(variance[c] + EPSILON)
//
// i runs over the M = step.rows * CELLS cells of the valid rows. One workgroup makes one channel; its
// invocations take every WORKGROUPth cell (workgroup_sum.wgsl).
//
// Host constants: CELLS of a sample, C channels, EPSILON. The host declares load_NAME(i) for what is
// read.

@group(1) @binding(0) var<storage, read_write> dgamma: array<f32>; // [C]
@group(1) @binding(1) var<storage, read_write> dbeta: array<f32>;  // [C]

@compute @workgroup_size(WORKGROUP)
fn batch_norm_backward_weight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let channel = workgroup.y * GRID + workgroup.x;
    let c = min(channel, C - 1u);
    let cells = step.rows * CELLS;
    let m = load_mean(c);
    let scale = 1.0 / sqrt(load_variance(c) + EPSILON);
    var plain = 0.0;
    var weighted = 0.0;
    for (var i = local; i < cells; i += WORKGROUP) {
        let d = load_dy(i * C + c);
        plain += d;
        weighted += d * ((load_x(i * C + c) - m) * scale);
    }
    let beta = total(local, plain);
    let gamma = total(local, weighted);
    if local == 0u && channel < C {
        dbeta[c] = beta;
        dgamma[c] = gamma;
    }
}
