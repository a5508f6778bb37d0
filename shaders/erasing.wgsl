// erasing: what erase computes, also at the end of adjust_contrast: fills a rectangle of some images; see Erase in
// src/plan/op/erase.rs. Everything but the noise is computed in integers.
//
// A Cell lies in one row of pixels. Host constants: WIDTH floats of a Cell, FLOATS of an image and of a LINE of it,
// C channels, ERASE_NUMBER, DRAWS per row, PROBABILITY and PROBABILITY_EXTENT in units of 2^-16, SCALE in units of
// 2^-24 and SCALE_EXTENT in units of 2^-16, IS_NOISE, NOISE (its number), FILL, FILL_LOW, FILL_HIGH. The host puts
// rng.wgsl, circle.wgsl, normal.wgsl and side.wgsl before this, and declares first_of(words), the first word of
// several equal ones.

// The pixels of an image to fill: the first one of each side and the one behind its last.
struct ErasedArea {
    lines: vec2<u32>,
    columns: vec2<u32>,
}

// The 32 bits of draw i of a row of the batch.
fn erase_draw(row: u32, i: u32) -> u32 {
    return first_of(random_words(step.key, Words((step.first + row) * DRAWS + i), ERASE_NUMBER));
}

// The part of a side of `length` pixels that is drawn from `size` and `at`.
fn erased_side(length: u32, size: u32, at: u32) -> vec2<u32> {
    let square = SCALE + ((SCALE_EXTENT * (size >> 16u)) >> 8u);
    return part_of_side(length, root_of_share(square), at);
}

// The area of a row of the batch, which may be empty.
fn erased_area(row: u32) -> ErasedArea {
    let probability = PROBABILITY + ((PROBABILITY_EXTENT * (erase_draw(row, 0u) >> 16u)) >> 16u);
    if (erase_draw(row, 1u) >> 16u) >= probability {
        return ErasedArea(vec2(0u), vec2(0u));
    }
    return ErasedArea(
        erased_side(FLOATS / LINE, erase_draw(row, 3u), erase_draw(row, 5u)),
        erased_side(LINE / C, erase_draw(row, 2u), erase_draw(row, 4u)),
    );
}

// A Cell of the image in this row of the batch.
fn erased(x: Cell, row: u32, cell: u32, area: ErasedArea) -> Cell {
    let e = cell * WIDTH;
    let line = e / LINE;
    if line < area.lines.x || line >= area.lines.y {
        return x;
    }
    var filling = Cell(FILL);
    if IS_NOISE == 1u {
        filling = FILL_HIGH * normal(step.key, (step.first + row) * FLOATS + e + LANES, NOISE);
    }
    filling = clamp(filling, Cell(FILL_LOW), Cell(FILL_HIGH));
    let column = (e - line * LINE + LANES) / C;
    return select(x, filling, (column >= Words(area.columns.x)) & (column < Words(area.columns.y)));
}
