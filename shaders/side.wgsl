// side: parts of an image's side in integers, the twins of root_of_share and part_of_side in
// src/plan/op/erase.rs. The host puts this before the kernels that use it.

// The root, in units of 2^-12, of a share in units of 2^-24.
fn root_of_share(share: u32) -> u32 {
    // The root of a float may be off by one.
    var root = u32(sqrt(f32(share)));
    if root * root > share {
        root -= 1u;
    }
    if (root + 1u) * (root + 1u) <= share {
        root += 1u;
    }
    return min(root, 4096u);
}

// The product of a length and a share in units of 2^-24, rounded up.
fn pixel(length: u32, share: u32) -> u32 {
    let low = length * (share & 4095u);
    let high = length * (share >> 12u) + (low >> 12u);
    return (high + u32((low & 4095u) != 0u) + 4095u) >> 12u;
}

// The first pixel of a part of a side and the one behind its last: `share` of `length` pixels, in
// units of 2^-12, at a place that the draw `at` decides.
fn part_of_side(length: u32, share: u32, at: u32) -> vec2<u32> {
    let start = (at >> 20u) * (4096u - share);
    return vec2(pixel(length, start), pixel(length, start + (share << 12u)));
}
