// erase: one invocation computes every RUNSth Cell of an image, whose area it draws once. Host constants: BATCH,
// RUNS invocations of an image. The host puts erasing.wgsl before this, and declares load_x(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn erase(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * RUNS {
        return;
    }
    let row = i / RUNS;
    let first = row * (FLOATS / WIDTH);
    let area = erased_area(row);
    for (var cell = i % RUNS; cell < FLOATS / WIDTH; cell += RUNS) {
        out[first + cell] = erased(load_x(first + cell), row, cell, area);
    }
}
