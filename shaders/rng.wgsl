// rng: counter-based random bits, the twin of src/rng.rs (Threefry-2x32-20). The host puts this
// before the kernels that use it. Words are u32 or a vec4 of them: one draw per lane.

fn rotate_left(x: Words, n: u32) -> Words {
    return (x << Words(n)) | (x >> Words(32u - n));
}

fn four_rounds(a: ptr<function, Words>, b: ptr<function, Words>, r: vec4<u32>) {
    for (var i = 0u; i < 4u; i++) {
        *a += *b;
        *b = rotate_left(*b, r[i]) ^ *a;
    }
}

struct RandomPair {
    first: Words,
    second: Words,
}

// threefry2x32(key, (x, y)).
fn random_pair(key: vec2<u32>, x: Words, y: u32) -> RandomPair {
    let even = vec4<u32>(13u, 15u, 26u, 6u);
    let odd = vec4<u32>(17u, 29u, 16u, 24u);
    let third = 0x1BD11BDAu ^ key.x ^ key.y;
    var a = x + key.x;
    var b = Words(y + key.y);
    four_rounds(&a, &b, even);
    a += key.y;
    b += third + 1u;
    four_rounds(&a, &b, odd);
    a += third;
    b += key.x + 2u;
    four_rounds(&a, &b, even);
    a += key.x;
    b += key.y + 3u;
    four_rounds(&a, &b, odd);
    a += key.y;
    b += third + 4u;
    four_rounds(&a, &b, even);
    return RandomPair(a + third, b + key.x + 5u);
}

// The first word of threefry2x32(key, (x, y)).
fn random_words(key: vec2<u32>, x: Words, y: u32) -> Words {
    return random_pair(key, x, y).first;
}
