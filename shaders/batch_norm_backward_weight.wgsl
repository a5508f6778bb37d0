// batch_norm_backward_weight: the gradients of gamma and beta, channel by channel.
//
//   dbeta[c] = Σ_i dy[i, c]
//   dgamma[c] = Σ_i dy[i, c] * (x[i, c] - mean[c]) / sqrt(variance[c] + EPSILON)
//
// i runs over the M = step.rows * CELLS cells of the valid rows. One workgroup sums one channel, or
// one of its PARTS parts (batch_norm_parts.wgsl); its invocations read every WORKGROUPth cell
// (workgroup_sum.wgsl). batch_norm_backward_weight_finish sums the parts, one channel per
// invocation.
//
// Host constants: CELLS of a sample, C channels, PARTS, PART_CELLS, EPSILON. The host declares
// load_NAME(i) for each input.

@group(1) @binding(0) var<storage, read_write> dgamma: array<f32>;      // [C]
@group(1) @binding(1) var<storage, read_write> dbeta: array<f32>;       // [C]
// Of both, where PARTS > 1.
@group(1) @binding(2) var<storage, read_write> parts: array<vec2<f32>>; // [PARTS, C]

@compute @workgroup_size(WORKGROUP)
fn batch_norm_backward_weight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * GRID + workgroup.x;
    let part = part_of(group);
    let c = part.channel;
    let m = load_mean(c);
    let scale = 1.0 / sqrt(load_variance(c) + EPSILON);
    var plain = 0.0;
    var weighted = 0.0;
    for (var i = part.first + local; i < part.end; i += WORKGROUP) {
        let d = load_dy(i * C + c);
        plain += d;
        weighted += d * ((load_x(i * C + c) - m) * scale);
    }
    let beta = total(local, plain);
    let gamma = total(local, weighted);
    if local == 0u && group < C * PARTS {
        if PARTS == 1u {
            dbeta[c] = beta;
            dgamma[c] = gamma;
        } else {
            parts[group] = vec2(gamma, beta);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn batch_norm_backward_weight_finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = flat_index(workgroup, local);
    if c >= C {
        return;
    }
    var sum = vec2(0.0);
    for (var s = 0u; s < PARTS; s++) {
        sum += parts[s * C + c];
    }
    dgamma[c] = sum.x;
    dbeta[c] = sum.y;
}
