// The metrics of a batch or of a part of it, and their sum over a workgroup, which is added in a
// tree of fixed shape, so that its order never changes.

struct Metrics {
    loss: f32,
    correct: u32,
}

var<workgroup> losses: array<f32, WORKGROUP>;
var<workgroup> corrects: array<u32, WORKGROUP>;

// The sum over the workgroup; only invocation 0 gets it. Every invocation must call it, once.
fn sum_of_metrics(local: u32, own: Metrics) -> Metrics {
    losses[local] = own.loss;
    corrects[local] = own.correct;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if local < half {
            losses[local] += losses[local + half];
            corrects[local] += corrects[local + half];
        }
        workgroupBarrier();
    }
    return Metrics(losses[0], corrects[0]);
}
