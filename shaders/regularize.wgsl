// regularize: the penalty on one parameter, in the loss and in the gradient.
//
//   metrics[slot].loss += rows * Σ_i (L1 * |w[i]| + L2 * w[i]²)
//   gradient[i] += L1 * sign(w[i]) + 2 * L2 * w[i]        in training
//
// A workgroup handles PART_LEN elements, invocation k of it every WORKGROUPth from k on
// (workgroup_sum.wgsl). With several PARTS, regularize_finish sums their penalties in one
// workgroup. Host constants: LEN, PARTS, PART_LEN, L1, L2, HAS_GRADIENT. The host declares
// load_w(i).

struct Metrics {
    loss: f32,
    correct: u32,
}

@group(1) @binding(0) var<storage, read_write> metrics: array<Metrics>;
@group(1) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(1) @binding(2) var<storage, read_write> parts: array<f32>; // [PARTS], if PARTS > 1

@compute @workgroup_size(WORKGROUP)
fn regularize(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let part = workgroup.y * GRID + workgroup.x;
    let end = min((part + 1u) * PART_LEN, LEN);
    var sum = 0.0;
    for (var i = part * PART_LEN + local; i < end; i += WORKGROUP) {
        let w = load_w(i);
        sum += L1 * abs(w) + L2 * w * w;
        if HAS_GRADIENT == 1u {
            gradient[i] += L1 * sign(w) + 2.0 * L2 * w;
        }
    }
    let all = total(local, sum);
    if local == 0u && part < PARTS {
        if PARTS == 1u {
            metrics[step.slot].loss += f32(step.rows) * all;
        } else {
            parts[part] = all;
        }
    }
}

@compute @workgroup_size(WORKGROUP)
fn regularize_finish(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < PARTS; i += WORKGROUP) {
        sum += parts[i];
    }
    let all = total(local, sum);
    if local == 0u {
        metrics[step.slot].loss += f32(step.rows) * all;
    }
}
