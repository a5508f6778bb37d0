// erase: fills a rectangle of some images; see Erase in src/plan/op/erase.rs. Everything but the noise
// is computed in integers.
//
// One invocation computes every RUNSth Cell of an image; a Cell lies in one row of pixels. Host constants:
// BATCH, RUNS invocations of an image, WIDTH floats of a Cell, C channels, SIZE floats of an image, COLUMNS of
// an image, NUMBER,
// DRAWS per row, PROBABILITY and PROBABILITY_EXTENT in units of 2^-16, SCALE in units of 2^-24 and
// SCALE_EXTENT in units of 2^-16, IS_NOISE, NOISE (its number), FILL, LOW, HIGH. The host puts rng.wgsl,
// circle.wgsl, normal.wgsl and side.wgsl before this, and declares load_x(i) and first_of(words), the
// first word of several equal ones.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

// The 32 bits of draw i of a row of the batch.
fn draw(row: u32, i: u32) -> u32 {
    return first_of(random_words(step.key, Words(row * DRAWS + i), NUMBER));
}

// Whether place i of a side of `length` pixels lies in the part that is drawn from `size` and `at`.
fn is_within(i: u32, length: u32, size: u32, at: u32) -> bool {
    let square = SCALE + ((SCALE_EXTENT * (size >> 16u)) >> 8u);
    let part = part_of_side(length, root_of_share(square), at);
    return i >= part.x && i < part.y;
}

@compute @workgroup_size(WORKGROUP)
fn erase(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * RUNS {
        return;
    }
    let first = i / RUNS * SIZE / WIDTH;
    let row = step.first + i / RUNS;
    let probability = PROBABILITY + ((PROBABILITY_EXTENT * (draw(row, 0u) >> 16u)) >> 16u);
    if (draw(row, 1u) >> 16u) >= probability {
        for (var cell = i % RUNS; cell < SIZE / WIDTH; cell += RUNS) {
            out[first + cell] = load_x(first + cell);
        }
        return;
    }
    let size = vec2(draw(row, 2u), draw(row, 3u));
    let at = vec2(draw(row, 4u), draw(row, 5u));
    for (var cell = i % RUNS; cell < SIZE / WIDTH; cell += RUNS) {
        var v = load_x(first + cell);
        let e = cell * WIDTH;
        if is_within(e / (COLUMNS * C), SIZE / (COLUMNS * C), size.y, at.y) {
            var filling = Cell(FILL);
            if IS_NOISE == 1u {
                filling = HIGH * normal(step.key, step.first * SIZE + (first + cell) * WIDTH + LANES, NOISE);
            }
            filling = clamp(filling, Cell(LOW), Cell(HIGH));
            for (var lane = 0u; lane < WIDTH; lane++) {
                if is_within((e + lane) / C % COLUMNS, COLUMNS, size.x, at.x) {
                    v = select(v, filling, (Words(0u) + LANES) == Words(lane));
                }
            }
        }
        out[first + cell] = v;
    }
}
