// random_bits: out[i] = random_words(KEY, i, 0), to check that host and device draw the same bits.
//
// Host constants: LEN, KEY_0, KEY_1. The host puts rng.wgsl before this.

@group(1) @binding(0) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(WORKGROUP)
fn random_bits(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = random_words(vec2<u32>(KEY_0, KEY_1), i, 0u);
}
