// softmax_cross_entropy: probabilities, loss, correct count and the logits' gradient in one.
//
//   p[r, i] = softmax(logits[r])[i]
//   loss[r] = weight * (ln Σ_j exp(logits[r, j] - m) - (logits[r, label] - m)),
//             m = max_j logits[r, j],  weight = class_weight(label)
//   dlogits[r, i] = weight * (p[r, i] - (i == label)) / rows for the valid rows, 0 for the others
//   metrics[slot] = (Σ_r loss[r], number of valid rows whose first largest logit is the label's)
//
// One workgroup for the whole batch: invocation k takes rows k, k + WORKGROUP, ..., and the sums
// meet in a tree of fixed shape, so that their order never changes. Host constants: BATCH, CLASSES,
// HAS_DLOGITS, and the function class_weight. A Cell is one f32. What follows a row is `behind(r)`,
// which is nothing, or dense_behind.wgsl.

struct Metrics {
    loss: f32,
    correct: u32,
}

@group(1) @binding(0) var<storage, read> logits: array<f32>;          // [BATCH, CLASSES]
@group(1) @binding(1) var<storage, read> labels: array<u32>;          // [BATCH]
@group(1) @binding(2) var<storage, read_write> probabilities: array<f32>; // [BATCH, CLASSES]
@group(1) @binding(3) var<storage, read_write> metrics: array<Metrics>;
@group(1) @binding(4) var<storage, read_write> dlogits: array<f32>;   // [BATCH, CLASSES]

var<workgroup> losses: array<f32, WORKGROUP>;
var<workgroup> corrects: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn softmax_cross_entropy(@builtin(local_invocation_index) local: u32) {
    var loss = 0.0;
    var correct = 0u;
    for (var r = local; r < BATCH; r += WORKGROUP) {
        let row = r * CLASSES;
        var largest = logits[row];
        var best = 0u;
        for (var i = 1u; i < CLASSES; i++) {
            let v = logits[row + i];
            if v > largest {
                largest = v;
                best = i;
            }
        }
        var sum = 0.0;
        for (var i = 0u; i < CLASSES; i++) {
            sum += exp(logits[row + i] - largest);
        }
        let label = labels[r];
        let weight = class_weight(label);
        for (var i = 0u; i < CLASSES; i++) {
            let p = exp(logits[row + i] - largest) / sum;
            probabilities[row + i] = p;
            if HAS_DLOGITS == 1u {
                let d = weight * (p - select(0.0, 1.0, i == label)) / f32(step.rows);
                dlogits[row + i] = select(0.0, d, r < step.rows);
            }
        }
        behind(r);
        if r < step.rows {
            loss += weight * (log(sum) - (logits[row + label] - largest));
            correct += select(0u, 1u, best == label);
        }
    }
    losses[local] = loss;
    corrects[local] = correct;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            losses[local] += losses[local + half];
            corrects[local] += corrects[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        metrics[step.slot] = Metrics(losses[0], corrects[0]);
    }
}
