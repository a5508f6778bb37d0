// batch_norm_statistics: mean and variance over the batch, channel by channel.
//
//   mean[c] = Σ_i x[i, c] / M, variance[c] = Σ_i (x[i, c] - mean[c])² / M
//   moving = MOMENTUM * moving + (1 - MOMENTUM) * (mean or variance)
//
// i runs over the M = step.rows * CELLS cells of the valid rows. One workgroup makes one channel; its
// invocations take every WORKGROUPth cell (workgroup_sum.wgsl).
//
// Host constants: CELLS of a sample, C channels, MOMENTUM and its complement. The host declares
// load_x(i).

@group(1) @binding(0) var<storage, read_write> mean: array<f32>;            // [C]
@group(1) @binding(1) var<storage, read_write> variance: array<f32>;        // [C]
@group(1) @binding(2) var<storage, read_write> moving_mean: array<f32>;     // [C]
@group(1) @binding(3) var<storage, read_write> moving_variance: array<f32>; // [C]

@compute @workgroup_size(WORKGROUP)
fn batch_norm_statistics(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // A folded grid has workgroups too many: they sum along and store nothing.
    let channel = workgroup.y * GRID + workgroup.x;
    let c = min(channel, C - 1u);
    let cells = step.rows * CELLS;
    var sum = 0.0;
    for (var i = local; i < cells; i += WORKGROUP) {
        sum += load_x(i * C + c);
    }
    let m = total(local, sum) / f32(cells);
    var squares = 0.0;
    for (var i = local; i < cells; i += WORKGROUP) {
        let d = load_x(i * C + c) - m;
        squares += d * d;
    }
    let v = total(local, squares) / f32(cells);
    if local == 0u && channel < C {
        mean[c] = m;
        variance[c] = v;
        moving_mean[c] = MOMENTUM * moving_mean[c] + ONE_MINUS_MOMENTUM * m;
        moving_variance[c] = MOMENTUM * moving_variance[c] + ONE_MINUS_MOMENTUM * v;
    }
}
