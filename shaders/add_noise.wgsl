// add_noise: y[i] = x[i] + STDDEV * normal(step.key, step.first * SIZE + i, NUMBER).
//
// One invocation computes one Cell. Host constants: LEN in Cells, WIDTH floats of a Cell, SIZE of a
// sample in floats, NUMBER, STDDEV. The host puts rng.wgsl, circle.wgsl and normal.wgsl before this, and declares load_x(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn add_noise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = load_x(i) + STDDEV * normal(step.key, step.first * SIZE + i * WIDTH + LANES, NUMBER);
}
