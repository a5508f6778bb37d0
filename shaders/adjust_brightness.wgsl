// adjust_brightness: one invocation computes every RUNSth Cell of an image, for which it draws once. Host
// constants: BATCH, SIZE of an image in Cells, RUNS invocations of an image. The host puts brightness.wgsl
// before this, and declares load_x(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn adjust_brightness(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * RUNS {
        return;
    }
    let row = i / RUNS;
    let shift = shift_of(row);
    for (var e = i % RUNS; e < SIZE; e += RUNS) {
        out[row * SIZE + e] = brightened(load_x(row * SIZE + e), shift);
    }
}
