// Part of kernels that sum over a workgroup: the sums are added in a tree of fixed shape, so that
// their order never changes.

var<workgroup> sums: array<f32, WORKGROUP>;

// The sum over the workgroup, the same for all. Every invocation must call it.
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
    // Completes the read before the next sum overwrites it.
    workgroupBarrier();
    return result;
}
