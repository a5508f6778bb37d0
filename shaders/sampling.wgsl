// sampling: an image read at any place, bilinear or the nearest pixel.
//
//   bilinear  Σ over the four pixels around (sx, sy), weighted by their closeness
//   nearest   x[floor(sy + 1/2), floor(sx + 1/2)]
//
// Host constants: H, W, C Cells of a pixel, MODE (what lies outside of the image) and its values
// REFLECT, CONSTANT, NEAREST and WRAP, IS_BILINEAR, FILL. The host puts this before the kernels that use
// it, and declares load_x(i).

// i modulo n, not negative, for |i| <= 2^24. In floats, because software adapters divide integers lane
// by lane; the quotient may be off by one.
fn modulo(i: i32, n: i32) -> i32 {
    var rest = i - i32(floor(f32(i) * (1.0 / f32(n)))) * n;
    rest = select(rest, rest + n, rest < 0);
    return select(rest, rest - n, rest >= n);
}

// The pixel at place i of an axis; negative for the fill value.
fn index_of(i: i32, n: i32) -> i32 {
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
    return select(-1, i, i >= 0 && i < n);
}

// The pixel at (iy, ix) of image n, indices of `index_of`.
fn pixel_at(n: u32, iy: i32, ix: i32, c: u32) -> Cell {
    if MODE == CONSTANT && (iy < 0 || ix < 0) {
        return Cell(FILL);
    }
    return load_x(((n * H + u32(iy)) * W + u32(ix)) * C + c);
}

// A whole number. Places beyond 2^23 pixels are no numbers of pixels in floats.
fn whole(s: f32) -> i32 {
    return i32(clamp(s, -8388608.0, 8388608.0));
}

// The pixels around a place, indices of `index_of`, and how far it lies from the first ones.
struct Around {
    x0: i32,
    x1: i32,
    y0: i32,
    y1: i32,
    fx: f32,
    fy: f32,
}

fn around(sx: f32, sy: f32) -> Around {
    if IS_BILINEAR == 1u {
        let left = floor(sx);
        let top = floor(sy);
        return Around(
            index_of(whole(left), i32(W)),
            index_of(whole(left) + 1, i32(W)),
            index_of(whole(top), i32(H)),
            index_of(whole(top) + 1, i32(H)),
            sx - left,
            sy - top,
        );
    }
    let ix = index_of(whole(floor(sx + 0.5)), i32(W));
    let iy = index_of(whole(floor(sy + 0.5)), i32(H));
    return Around(ix, ix, iy, iy, 0.0, 0.0);
}

// Cell c at that place of image n.
fn sampled(n: u32, at: Around, c: u32) -> Cell {
    if IS_BILINEAR == 0u {
        return pixel_at(n, at.y0, at.x0, c);
    }
    let above = (1.0 - at.fx) * pixel_at(n, at.y0, at.x0, c) + at.fx * pixel_at(n, at.y0, at.x1, c);
    let below = (1.0 - at.fx) * pixel_at(n, at.y1, at.x0, c) + at.fx * pixel_at(n, at.y1, at.x1, c);
    return (1.0 - at.fy) * above + at.fy * below;
}
