// regularize: the penalty on one parameter, in the loss and in the gradient.
//
//   metrics[slot].loss += rows * Σ_i (L1 * |w[i]| + L2 * w[i]²)
//   gradient[i] += L1 * sign(w[i]) + 2 * L2 * w[i]        in training
//
// One workgroup; invocation k takes every WORKGROUPth element from k on (workgroup_sum.wgsl). Host
// constants: LEN, L1, L2, HAS_GRADIENT. The host declares load_w(i).

struct Metrics {
    loss: f32,
    correct: u32,
}

@group(1) @binding(0) var<storage, read_write> metrics: array<Metrics>;
@group(1) @binding(1) var<storage, read_write> gradient: array<f32>;

@compute @workgroup_size(WORKGROUP)
fn regularize(@builtin(local_invocation_index) local: u32) {
    var sum = 0.0;
    for (var i = local; i < LEN; i += WORKGROUP) {
        let w = load_w(i);
        sum += L1 * abs(w) + L2 * w * w;
        if HAS_GRADIENT == 1u {
            gradient[i] += L1 * sign(w) + 2.0 * L2 * w;
        }
    }
    let all = total(local, sum);
    if local == 0u {
        metrics[step.slot].loss += f32(step.rows) * all;
    }
}
