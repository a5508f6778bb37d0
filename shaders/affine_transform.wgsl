// affine_transform: images read through a map, relative to the centre (cx, cy).
//
//   (sx, sy) = (a0 * dx + a1 * dy + a2 + cx, b0 * dx + b1 * dy + b2 + cy), (dx, dy) = (ox - cx, oy - cy)
//   bilinear  y[oy, ox] = Σ over the four pixels around (sx, sy), weighted by their closeness
//   nearest   y[oy, ox] = x[floor(sy + 1/2), floor(sx + 1/2)]
//
// One invocation computes RUN pixels of one image. Host constants: BATCH, H, W, C Cells of a pixel,
// RUN, MODE (what lies outside of the image) and its values REFLECT, CONSTANT, NEAREST and WRAP,
// IS_BILINEAR, FILL. The host declares load_x(i) and load_maps(i), half a map.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [BATCH, H, W, C]

// i modulo n, not negative.
fn modulo(i: i32, n: i32) -> i32 {
    return (i % n + n) % n;
}

// The pixel at place i of an axis; negative for the fill value.
fn index_of(i: i32, n: i32) -> i32 {
    if i >= 0 && i < n {
        return i;
    }
    if MODE == NEAREST {
        return clamp(i, 0, n - 1);
    }
    if MODE == WRAP {
        return modulo(i, n);
    }
    if MODE == REFLECT {
        let place = modulo(i, 2 * n);
        return min(place, 2 * n - 1 - place);
    }
    return -1;
}

// The pixel at (iy, ix) of image n, indices of `index_of`.
fn pixel_at(n: u32, iy: i32, ix: i32, c: u32) -> Cell {
    if MODE == CONSTANT && (iy < 0 || ix < 0) {
        return Cell(FILL);
    }
    return load_x(((n * H + u32(iy)) * W + u32(ix)) * C + c);
}

// A whole number, in a range in which sums do not overflow.
fn whole(s: f32) -> i32 {
    return i32(clamp(s, -1.0e9, 1.0e9));
}

@compute @workgroup_size(WORKGROUP)
fn affine_transform(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    let runs = (H * W + RUN - 1u) / RUN;
    if i >= BATCH * runs {
        return;
    }
    let n = i / runs;
    let first = i % runs * RUN;
    let a = load_maps(2u * n);
    let rest = load_maps(2u * n + 1u);
    let b = vec3(a.w, rest.xy);
    let cx = 0.5 * f32(W - 1u);
    let cy = 0.5 * f32(H - 1u);
    for (var p = first; p < min(first + RUN, H * W); p++) {
        let dx = f32(p % W) - cx;
        let dy = f32(p / W) - cy;
        let sx = a.x * dx + (a.y * dy + (a.z + cx));
        let sy = b.x * dx + (b.y * dy + (b.z + cy));
        if IS_BILINEAR == 1u {
            let left = floor(sx);
            let top = floor(sy);
            let fx = sx - left;
            let fy = sy - top;
            let x0 = index_of(whole(left), i32(W));
            let x1 = index_of(whole(left) + 1, i32(W));
            let y0 = index_of(whole(top), i32(H));
            let y1 = index_of(whole(top) + 1, i32(H));
            for (var c = 0u; c < C; c++) {
                let above = (1.0 - fx) * pixel_at(n, y0, x0, c) + fx * pixel_at(n, y0, x1, c);
                let below = (1.0 - fx) * pixel_at(n, y1, x0, c) + fx * pixel_at(n, y1, x1, c);
                out[(n * H * W + p) * C + c] = (1.0 - fy) * above + fy * below;
            }
        } else {
            let ix = index_of(whole(floor(sx + 0.5)), i32(W));
            let iy = index_of(whole(floor(sy + 0.5)), i32(H));
            for (var c = 0u; c < C; c++) {
                out[(n * H * W + p) * C + c] = pixel_at(n, iy, ix, c);
            }
        }
    }
}
