// adjust: random contrast and brightness of images.
//
//   contrast    y = clip((x - mean) * f + mean), mean that of a channel of an image, f = U(LOWER, UPPER)
//   brightness  y = clip(x + d), d = U(LOWER, UPPER)
//
// with one draw for each row of the batch. Host constants: NUMBER and DRAWS per row of the series,
// LOWER, EXTENT (UPPER - LOWER), LOW and HIGH, to which results are clipped, and those of each kernel.
// The host puts rng.wgsl before this, and declares first_of(words), the first word of several equal ones.

// Draw 0 of a row of the batch.
fn drawn(row: u32) -> f32 {
    let bits = first_of(random_words(step.key, Words(row * DRAWS), NUMBER)) >> 8u;
    return LOWER + EXTENT * (f32(bits) * (1.0 / 16777216.0));
}

// NaN stays NaN.
fn clipped(x: Cell) -> Cell {
    return select(clamp(x, Cell(LOW), Cell(HIGH)), x, is_nan(x));
}
