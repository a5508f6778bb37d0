// loss_finish: the metrics of a batch whose loss (loss.wgsl) is computed in parts.
//
//   metrics[slot] = Σ_i parts[i]
//
// One workgroup: invocation k adds parts k, k + WORKGROUP, ... Follows metrics.wgsl.
//
// Host constant: PARTS.

@group(1) @binding(0) var<storage, read> parts: array<Metrics>;         // [PARTS]
@group(1) @binding(1) var<storage, read_write> metrics: array<Metrics>;

@compute @workgroup_size(WORKGROUP)
fn loss_finish(@builtin(local_invocation_index) local: u32) {
    var own = Metrics(0.0, 0u);
    for (var i = local; i < PARTS; i += WORKGROUP) {
        own.loss += parts[i].loss;
        own.correct += parts[i].correct;
    }
    let sum = sum_of_metrics(local, own);
    if local == 0u {
        metrics[step.slot] = sum;
    }
}
