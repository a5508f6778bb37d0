// batch_norm_statistics and batch_norm_backward_weight: sums over the batch, channel by channel.
//
//   statistics       mean[c] = Σ_i x[i, c] / M, variance[c] = Σ_i (x[i, c] - mean[c])² / M
//                    moving = MOMENTUM * moving + (1 - MOMENTUM) * (mean or variance)
//   backward_weight  dbeta[c] = Σ_i dy[i, c]
//                    dgamma[c] = Σ_i dy[i, c] * (x[i, c] - mean[c]) / sqrt(variance[c] + EPSILON)
//
// i runs over the M = step.rows * CELLS cells of the valid rows. One workgroup makes one channel; its
// invocations take every WORKGROUPth cell, and the sums meet in a tree of fixed shape.
//
// Host constants: CELLS of a sample, C channels, and the numbers above. The host declares load_NAME(i)
// for what is read.

var<workgroup> sums: array<f32, WORKGROUP>;

// The sum over the workgroup, the same to all. Every invocation must call it.
fn total(local: u32, sum: f32) -> f32 {
    sums[local] = sum;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    let result = sums[0];
    // Before the next sum overwrites it.
    workgroupBarrier();
    return result;
}
