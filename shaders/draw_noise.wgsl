// draw_noise: out[n, axis, y, x] = N(0, 1), 0 for images that are not distorted; see DrawNoise in
// src/plan/op/elastic.rs. Whether an image is distorted is computed in integers.
//
// One invocation computes one Cell. Host constants: LEN in Cells, WIDTH floats of a Cell, SIZE of an
// image in Cells, NUMBER and DRAWS per row of the series of draws, RIGHT and DOWN, the series of the noise,
// PROBABILITY and PROBABILITY_EXTENT in units of 2^-16. The host puts rng.wgsl, circle.wgsl and
// normal.wgsl before this, and declares first_of(words), the first word of several equal ones.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [n, 2, SIZE]

fn draw(row: u32, i: u32) -> u32 {
    return first_of(random_words(step.key, Words(row * DRAWS + i), NUMBER));
}

@compute @workgroup_size(WORKGROUP)
fn draw_noise(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let row = step.first + i / (2u * SIZE);
    let probability = PROBABILITY + ((PROBABILITY_EXTENT * (draw(row, 0u) >> 16u)) >> 16u);
    var v = Cell(0.0);
    if (draw(row, 1u) >> 16u) < probability {
        let series = select(RIGHT, DOWN, i / SIZE % 2u == 1u);
        v = normal(step.key, (row * SIZE + i % SIZE) * WIDTH + LANES, series);
    }
    out[i] = v;
}
