// brightness: what adjust_brightness computes, also at the end of adjust_contrast. Host constants:
// BRIGHTNESS_NUMBER of the series, BRIGHTNESS_LOWER, BRIGHTNESS_EXTENT, BRIGHTNESS_LOW, BRIGHTNESS_HIGH.
// The host puts adjust.wgsl before this.

fn brightened(x: Cell, row: u32) -> Cell {
    let d = drawn(row, BRIGHTNESS_NUMBER, BRIGHTNESS_LOWER, BRIGHTNESS_EXTENT);
    return clipped(x + Cell(d), BRIGHTNESS_LOW, BRIGHTNESS_HIGH);
}
