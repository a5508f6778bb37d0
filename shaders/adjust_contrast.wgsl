// adjust_contrast: one invocation computes every RUNSth Cell of an image, with the sums of
// adjust_contrast_sums. Host constants: BATCH, SIZE of an image in Cells, RUNS invocations of an image, PIXELS
// of an image, PARTS of the sums, CHANNELS in Cells, or 1 if all lanes of a Cell have the same channel;
// NUMBER of the series, LOWER, EXTENT, LOW and HIGH. The host puts adjust.wgsl before this, and declares
// load_x(i), load_sums(i), a sum for each of a Cell's lanes or one for all, the functions of
// brightness.wgsl and erasing.wgsl, or such that change nothing.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [n, SIZE]

@compute @workgroup_size(WORKGROUP)
fn adjust_contrast(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * RUNS {
        return;
    }
    let row = i / RUNS;
    let factor = Cell(drawn(row, NUMBER, LOWER, EXTENT));
    let shift = shift_of(row);
    let area = erased_area(row);
    for (var e = i % RUNS; e < SIZE; e += RUNS) {
        var sum = Cell(0.0);
        for (var part = 0u; part < PARTS; part++) {
            sum += Cell(load_sums((row * PARTS + part) * CHANNELS + e % CHANNELS));
        }
        let mean = sum / f32(PIXELS);
        let y = clipped((load_x(row * SIZE + e) - mean) * factor + mean, LOW, HIGH);
        out[row * SIZE + e] = erased(brightened(y, shift), row, e, area);
    }
}
