// draw_maps: a random affine map for each row of the batch; see DrawMaps in src/plan/op/affine.rs.
//
//   out[n] = a0 a1 a2 b0, b1 b2 0 0
//
// One invocation computes one map. Host constants: LEN rows, ROWS and COLUMNS of an image, DRAWS per
// row of a series. The host puts rng.wgsl and circle.wgsl before this, and adds map_of(row), which
// joins the maps below.

@group(1) @binding(0) var<storage, read_write> out: array<vec4<f32>>;

// x' = a.x * x + a.y * y + a.z, y' likewise with b.
struct Map {
    a: vec3<f32>,
    b: vec3<f32>,
}

// f after g: places go through g first.
fn joined(f: Map, g: Map) -> Map {
    return Map(
        f.a.x * g.a + f.a.y * g.b + vec3(0.0, 0.0, f.a.z),
        f.b.x * g.a + f.b.y * g.b + vec3(0.0, 0.0, f.b.z),
    );
}

fn bits(row: u32, number: u32, i: u32) -> u32 {
    return random_words(step.key, row * DRAWS + i, number);
}

// A number from `lower`, less than `lower + extent`.
fn between(row: u32, number: u32, i: u32, lower: f32, extent: f32) -> f32 {
    return lower + extent * (f32(bits(row, number, i) >> 8u) * (1.0 / 16777216.0));
}

// -1 in half of the draws, otherwise 1.
fn sign_of(row: u32, number: u32, i: u32) -> f32 {
    return select(1.0, -1.0, bits(row, number, i) >= 0x80000000u);
}

fn scaled(x: f32, y: f32) -> Map {
    return Map(vec3(x, 0.0, 0.0), vec3(0.0, y, 0.0));
}

fn shifted(down: f32, right: f32) -> Map {
    return Map(vec3(1.0, 0.0, -right), vec3(0.0, 1.0, -down));
}

fn rotated(turns: f32) -> Map {
    // An angle within an eighth of a turn, and quarters from 0 to 3 that are added to it.
    let quarters = floor(4.0 * turns + 0.5);
    let z = (turns - 0.25 * quarters) * 6.283185307179586;
    let quarter = quarters - 4.0 * floor(0.25 * quarters);
    var s = sine(z);
    var c = cosine(z);
    if quarter == 1.0 || quarter == 3.0 {
        let before = s;
        s = c;
        c = -before;
    }
    if quarter >= 2.0 {
        s = -s;
        c = -c;
    }
    return Map(vec3(c, -s, 0.0), vec3(s, c, 0.0));
}

// With distances from the corner.
fn sheared(x: f32, y: f32) -> Map {
    return Map(
        vec3(1.0, x, x * 0.5 * f32(ROWS - 1u)),
        vec3(y, 1.0, y * 0.5 * f32(COLUMNS - 1u)),
    );
}

// A part of ROWS x COLUMNS at a drawn place, the same one for all rows of the batch.
fn cropped(number: u32, rows: u32, columns: u32) -> Map {
    let top = ((bits(0u, number, 0u) >> 16u) * (ROWS - rows + 1u)) >> 16u;
    let left = ((bits(0u, number, 1u) >> 16u) * (COLUMNS - columns + 1u)) >> 16u;
    // Relative to the centres.
    return Map(
        vec3(1.0, 0.0, f32(left) + 0.5 * f32(columns) - 0.5 * f32(COLUMNS)),
        vec3(0.0, 1.0, f32(top) + 0.5 * f32(rows) - 0.5 * f32(ROWS)),
    );
}

@compute @workgroup_size(WORKGROUP)
fn draw_maps(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_index(workgroup, local);
    if row >= LEN {
        return;
    }
    let map = map_of(step.first + row);
    out[2u * row] = vec4(map.a, map.b.x);
    out[2u * row + 1u] = vec4(map.b.yz, 0.0, 0.0);
}
