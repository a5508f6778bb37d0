// adjust: random contrast and brightness of images.
//
//   contrast    y = clip((x - mean) * f + mean), mean that of a channel of an image, f = U(LOWER, UPPER)
//   brightness  y = clip(x + d), d = U(LOWER, UPPER)
//
// with one draw for each row of the batch. Host constants: NUMBER and DRAWS per row of the series,
// LOWER, EXTENT (UPPER - LOWER), LOW and HIGH, to which results are clipped, and those of each kernel.
// The host puts rng.wgsl before this.

// Draw 0 of a row of the batch. A Cell or the first number of one.
fn drawn(row: u32) -> Cell {
    let bits = random_words(step.key, Words(row * DRAWS), NUMBER) >> Words(8u);
    return LOWER + EXTENT * (Cell(bits) * (1.0 / 16777216.0));
}

// NaN stays NaN.
fn clipped(x: Cell) -> Cell {
    return select(clamp(x, Cell(LOW), Cell(HIGH)), x, is_nan(x));
}
