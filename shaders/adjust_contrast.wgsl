// adjust_contrast: one invocation computes one Cell, with the sums of adjust_contrast_sums. Host
// constants: LEN in Cells, SIZE of an image in Cells, PIXELS of an image, PARTS of the sums, CHANNELS
// in Cells, or 1 if all lanes of a Cell have the same channel; NUMBER of the series, LOWER, EXTENT, LOW
// and HIGH. The host puts adjust.wgsl before this, and declares load_x(i), load_sums(i), a sum for each of
// a Cell's lanes or one for all, and finished(x, row): x, or its brightened pixels.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [n, SIZE]

@compute @workgroup_size(WORKGROUP)
fn adjust_contrast(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let row = i / SIZE;
    var sum = Cell(0.0);
    for (var part = 0u; part < PARTS; part++) {
        sum += Cell(load_sums((row * PARTS + part) * CHANNELS + i % CHANNELS));
    }
    let mean = sum / f32(PIXELS);
    let factor = drawn(row, NUMBER, LOWER, EXTENT);
    let y = clipped((load_x(i) - mean) * Cell(factor) + mean, LOW, HIGH);
    out[i] = finished(y, row);
}
