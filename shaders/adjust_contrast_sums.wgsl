// adjust_contrast_sums: out[n, part, c] = Σ x[n, p, c] over the pixels of a part of an image.
//
// One workgroup sums one part; its invocations read every WORKGROUPth pixel (workgroup_sum.wgsl, which
// the host puts before this). Host constants: PIXELS of an image, C channels, GROUPS (parts of the whole
// batch), PARTS of an image, PART_PIXELS. The host declares load_x(i), one float.

@group(1) @binding(0) var<storage, read_write> out: array<f32>; // [n, PARTS, C]

@compute @workgroup_size(WORKGROUP)
fn adjust_contrast_sums(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let group = workgroup.y * GRID + workgroup.x;
    let first = group % PARTS * PART_PIXELS;
    let end = select(0u, min(first + PART_PIXELS, PIXELS), group < GROUPS);
    let image = group / PARTS * PIXELS;
    for (var c = 0u; c < C; c++) {
        var sum = 0.0;
        for (var p = first + local; p < end; p += WORKGROUP) {
            sum += load_x((image + p) * C + c);
        }
        let all = total(local, sum);
        if local == 0u && group < GROUPS {
            out[group * C + c] = all;
        }
    }
}
