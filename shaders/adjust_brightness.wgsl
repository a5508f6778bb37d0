// adjust_brightness: one invocation computes one Cell. Host constants: LEN in Cells, SIZE of an image in
// Cells. The host puts brightness.wgsl before this, and declares load_x(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn adjust_brightness(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = brightened(load_x(i), i / SIZE);
}
