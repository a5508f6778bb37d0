// brightness: what adjust_brightness computes, also at the end of adjust_contrast. Host constants:
// BRIGHTNESS_NUMBER of the series, BRIGHTNESS_LOWER, BRIGHTNESS_EXTENT, BRIGHTNESS_LOW, BRIGHTNESS_HIGH.
// The host puts adjust.wgsl before this.

// What is added to a row's pixels.
fn shift_of(row: u32) -> f32 {
    return drawn(row, BRIGHTNESS_NUMBER, BRIGHTNESS_LOWER, BRIGHTNESS_EXTENT);
}

fn brightened(x: Cell, shift: f32) -> Cell {
    return clipped(x + Cell(shift), BRIGHTNESS_LOW, BRIGHTNESS_HIGH);
}
