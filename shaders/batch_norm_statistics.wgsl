// batch_norm_statistics: mean and variance over the batch, channel by channel.
//
//   mean[c] = Σ_i x[i, c] / M, variance[c] = Σ_i (x[i, c] - mean[c])² / M
//   moving = MOMENTUM * moving + (1 - MOMENTUM) * (mean or variance), or, if IS_PART,
//   moving = step.rows / step.batch_rows * (mean or variance): the part of a micro-batch
//
// i runs over the M = step.rows * CELLS cells of the valid rows. One workgroup sums one channel, or
// one of its PARTS parts (batch_norm_parts.wgsl); its invocations read every WORKGROUPth cell
// (workgroup_sum.wgsl). batch_norm_statistics_finish combines the parts, one channel per
// invocation, from the mean, the squared deviations and the number of cells n[s] of each:
//
//   mean[c] = Σ_s n[s] * mean[s, c] / M
//   variance[c] = Σ_s (squares[s, c] + n[s] * (mean[s, c] - mean[c])²) / M
//
// Host constants: CELLS of a sample, C channels, PARTS, PART_CELLS, MOMENTUM and its complement,
// IS_PART. The host declares load_x(i).

@group(1) @binding(0) var<storage, read_write> mean: array<f32>;            // [C]
@group(1) @binding(1) var<storage, read_write> variance: array<f32>;        // [C]
@group(1) @binding(2) var<storage, read_write> moving_mean: array<f32>;     // [C]
@group(1) @binding(3) var<storage, read_write> moving_variance: array<f32>; // [C]
// Mean and squares, where PARTS > 1.
@group(1) @binding(4) var<storage, read_write> parts: array<vec2<f32>>;     // [PARTS, C]

fn store(c: u32, m: f32, v: f32) {
    mean[c] = m;
    variance[c] = v;
    if IS_PART == 1u {
        let share = f32(step.rows) / f32(step.batch_rows);
        moving_mean[c] = share * m;
        moving_variance[c] = share * v;
        return;
    }
    moving_mean[c] = MOMENTUM * moving_mean[c] + ONE_MINUS_MOMENTUM * m;
    moving_variance[c] = MOMENTUM * moving_variance[c] + ONE_MINUS_MOMENTUM * v;
}

@compute @workgroup_size(WORKGROUP)
fn batch_norm_statistics(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * GRID + workgroup.x;
    let part = part_of(group);
    let c = part.channel;
    let cells = f32(max(part.end - part.first, 1u));
    var sum = 0.0;
    for (var i = part.first + local; i < part.end; i += WORKGROUP) {
        sum += load_x(i * C + c);
    }
    let m = total(local, sum) / cells;
    var squares = 0.0;
    for (var i = part.first + local; i < part.end; i += WORKGROUP) {
        let d = load_x(i * C + c) - m;
        squares += d * d;
    }
    let all = total(local, squares);
    if local == 0u && group < C * PARTS {
        if PARTS == 1u {
            store(c, m, all / cells);
        } else {
            parts[group] = vec2(m, all);
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn batch_norm_statistics_finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let c = flat_index(workgroup, local);
    if c >= C {
        return;
    }
    let cells = f32(step.rows * CELLS);
    var sum = 0.0;
    for (var s = 0u; s < PARTS; s++) {
        let n = cells_before(s + 1u) - cells_before(s);
        sum += f32(n) * parts[s * C + c].x;
    }
    let m = sum / cells;
    var squares = 0.0;
    for (var s = 0u; s < PARTS; s++) {
        let n = cells_before(s + 1u) - cells_before(s);
        let part = parts[s * C + c];
        let d = part.x - m;
        squares += part.y + f32(n) * d * d;
    }
    store(c, m, squares / cells);
}
