// displace_pixels: images read at displaced places.
//
//   out[n, y, x] = clip(x at (x + fields[n, y, x, 0], y + fields[n, y, x, 1]))
//
// One invocation computes one pixel. Host constants: BATCH, LOW, HIGH, and those of sampling.wgsl, which the
// host puts before this; it declares load_x(i) and load_fields(i), one float.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [BATCH, H, W, C]

@compute @workgroup_size(WORKGROUP)
fn displace_pixels(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * H * W {
        return;
    }
    let at = around(f32(i % W) + load_fields(2u * i), f32(i / W % H) + load_fields(2u * i + 1u));
    for (var c = 0u; c < C; c++) {
        let v = sampled(i / (H * W), at, c);
        // NaN stays NaN.
        out[i * C + c] = select(clamp(v, Cell(LOW), Cell(HIGH)), v, is_nan(v));
    }
}
