// adjust: random contrast and brightness of images.
//
//   contrast    y = clip((x - mean) * f + mean), mean that of a channel of an image, f = U(lower, upper)
//   brightness  y = clip(x + d), d = U(lower, upper)
//
// with one draw for each row of the batch. Host constants: DRAWS per row of a series, and those of each
// kernel. The host puts rng.wgsl before this, and declares first_of(words), the first word of several
// equal ones.

// Draw 0 of a row of the batch, at least `lower` and less than `lower + extent`.
fn drawn(row: u32, number: u32, lower: f32, extent: f32) -> f32 {
    let bits = first_of(random_words(step.key, Words((step.first + row) * DRAWS), number)) >> 8u;
    return lower + extent * (f32(bits) * (1.0 / 16777216.0));
}

// NaN stays NaN.
fn clipped(x: Cell, low: f32, high: f32) -> Cell {
    return select(clamp(x, Cell(low), Cell(high)), x, is_nan(x));
}
