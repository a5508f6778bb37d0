// peak: an adapter's peak rates.
//
//   fma_peak   out[i] = Σ x_k, where each of 12 x_k went through x = x * m + c for ROUNDS times
//   copy_peak  out[i] = a[i]
//
// One invocation computes one Cell. The x_k are independent of each other, and nothing is loaded in
// the loop. Host constants: LEN in Cells, ROUNDS, a multiple of 8.

@group(1) @binding(0) var<storage, read> a: array<Cell>;
@group(1) @binding(1) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn fma_peak(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    // The host stores zeros there, which no compiler knows. The x_k tend to 2.
    let m = a[i] + Cell(0.5);
    let c = a[i] + Cell(1.0);
    var x0 = m;
    var x1 = m + Cell(1.0);
    var x2 = m + Cell(2.0);
    var x3 = m + Cell(3.0);
    var x4 = m + Cell(4.0);
    var x5 = m + Cell(5.0);
    var x6 = m + Cell(6.0);
    var x7 = m + Cell(7.0);
    var x8 = m + Cell(8.0);
    var x9 = m + Cell(9.0);
    var x10 = m + Cell(10.0);
    var x11 = m + Cell(11.0);
    for (var round = 0u; round < ROUNDS / 8u; round++) {
        // Drivers unroll this loop.
        for (var k = 0u; k < 8u; k++) {
            x0 = fma(x0, m, c);
            x1 = fma(x1, m, c);
            x2 = fma(x2, m, c);
            x3 = fma(x3, m, c);
            x4 = fma(x4, m, c);
            x5 = fma(x5, m, c);
            x6 = fma(x6, m, c);
            x7 = fma(x7, m, c);
            x8 = fma(x8, m, c);
            x9 = fma(x9, m, c);
            x10 = fma(x10, m, c);
            x11 = fma(x11, m, c);
        }
    }
    out[i] = x0 + x1 + x2 + x3 + x4 + x5 + x6 + x7 + x8 + x9 + x10 + x11;
}

@compute @workgroup_size(WORKGROUP)
fn copy_peak(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = a[i];
}
