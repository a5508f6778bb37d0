// mix_rows: mixes each image with another; see MixRows in src/plan/op/mix.rs.
//
//   out[r] = x[partner]                                  within the box
//            share * x[r] + (1 - share) * x[partner]     outside, or x[r] if the share is 1
//
// One invocation computes one Cell, of one row of one image. Host constants: LEN in Cells, WIDTH floats
// of a Cell, C channels, SIZE floats of an image, COLUMNS of an image, SHARE_ONE. The host declares
// load_x(i) and load_mixes(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

@compute @workgroup_size(WORKGROUP)
fn mix_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= LEN {
        return;
    }
    let row = i / (SIZE / WIDTH);
    let cell = i % (SIZE / WIDTH);
    let how = load_mixes(2u * row);
    let area = load_mixes(2u * row + 1u);
    var v = load_x(i);
    let other = load_x(how.x * (SIZE / WIDTH) + cell);
    if how.y < SHARE_ONE {
        let share = f32(how.y) / f32(SHARE_ONE);
        v = share * v + (1.0 - share) * other;
    }
    let iy = cell * WIDTH / (COLUMNS * C);
    if iy >= area.x && iy < area.y {
        let column = (cell * WIDTH + LANES) / C % COLUMNS;
        v = select(v, other, (column >= Words(area.z)) & (column < Words(area.w)));
    }
    out[i] = v;
}
