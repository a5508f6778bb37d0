// affine_transform: images read through a map, relative to the centres, (cx, cy) of an image and (ex, ey) of
// the result.
//
//   (sx, sy) = (a0 * dx + a1 * dy + a2 + cx, b0 * dx + b1 * dy + b2 + cy), (dx, dy) = (ox - ex, oy - ey)
//   y[oy, ox] = x at (sx, sy)
//
// One invocation computes RUN pixels of one image. Host constants: BATCH, OH, OW, RUN, and those of
// sampling.wgsl, which the host puts before this; it declares load_x(i) and load_maps(i), half a map.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [BATCH, OH, OW, C]

@compute @workgroup_size(WORKGROUP)
fn affine_transform(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    let runs = (OH * OW + RUN - 1u) / RUN;
    if i >= BATCH * runs {
        return;
    }
    let n = i / runs;
    let first = i % runs * RUN;
    let a = load_maps(2u * n);
    let rest = load_maps(2u * n + 1u);
    let b = vec3(a.w, rest.xy);
    let cx = 0.5 * f32(W - 1u);
    let cy = 0.5 * f32(H - 1u);
    // Divides once for all pixels of the run.
    var oy = first / OW;
    var ox = first - oy * OW;
    for (var p = first; p < min(first + RUN, OH * OW); p++) {
        let dx = f32(ox) - 0.5 * f32(OW - 1u);
        let dy = f32(oy) - 0.5 * f32(OH - 1u);
        ox += 1u;
        if ox == OW {
            ox = 0u;
            oy += 1u;
        }
        let sx = a.x * dx + (a.y * dy + (a.z + cx));
        let sy = b.x * dx + (b.y * dy + (b.z + cy));
        let at = around(sx, sy);
        for (var c = 0u; c < C; c++) {
            out[(n * OH * OW + p) * C + c] = sampled(n, at, c);
        }
    }
}
