// rng: counter-based random bits, the twin of src/rng.rs (Threefry-2x32-20).
//
//   out[i] = threefry2x32(KEY, (i, 0)).x
//
// Host constants: LEN, KEY_0, KEY_1.

@group(1) @binding(0) var<storage, read_write> out: array<u32>;

fn rotate_left(x: u32, n: u32) -> u32 {
    return (x << n) | (x >> (32u - n));
}

fn four_rounds(v: vec2<u32>, r: vec4<u32>) -> vec2<u32> {
    var x = v.x;
    var y = v.y;
    for (var i = 0u; i < 4u; i++) {
        x += y;
        y = rotate_left(y, r[i]) ^ x;
    }
    return vec2<u32>(x, y);
}

fn threefry2x32(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let even = vec4<u32>(13u, 15u, 26u, 6u);
    let odd = vec4<u32>(17u, 29u, 16u, 24u);
    let third = 0x1BD11BDAu ^ key.x ^ key.y;
    var v = counter + key;
    v = four_rounds(v, even) + vec2<u32>(key.y, third + 1u);
    v = four_rounds(v, odd) + vec2<u32>(third, key.x + 2u);
    v = four_rounds(v, even) + vec2<u32>(key.x, key.y + 3u);
    v = four_rounds(v, odd) + vec2<u32>(key.y, third + 4u);
    v = four_rounds(v, even) + vec2<u32>(third, key.x + 5u);
    return v;
}

@compute @workgroup_size(WORKGROUP)
fn random_bits(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    out[i] = threefry2x32(vec2<u32>(KEY_0, KEY_1), vec2<u32>(i, 0u)).x;
}
