// resize: a window of each image at another size; see src/plan/op/resize.rs.
//
//   resize_forward   out[n, oy, ox] = x at ((oy + 1/2) * ROWS / OH - 1/2, (ox + 1/2) * COLUMNS / OW - 1/2)
//                    of the window, bilinear, with the nearest pixels outside of it
//   resize_backward  out[n, iy, ix] = f'(through) * Σ x[n, oy, ox] * the share that the pixel has in it
//
// One invocation computes one Cell. Host constants: BATCH, C Cells of a pixel, IH and IW of the images,
// OH and OW of the results, the window's TOP, LEFT, ROWS and COLUMNS, and for the gradient HAS_THROUGH.
// The host declares load_x(i), for the gradient that of the results, and load_through(i).

@group(1) @binding(0) var<storage, read_write> out: array<Cell>; // [BATCH, OH, OW, C] or [BATCH, IH, IW, C]

// Two places of an axis and the share of the second.
struct Taps {
    first: u32,
    second: u32,
    share: f32,
}

// Where element o of `to` lies in a window of `len`.
fn taps(o: u32, len: u32, to: u32) -> Taps {
    // In units of 1 / (2 to) of a pixel.
    let from_edge = (2u * o + 1u) * len;
    let place = min(max(from_edge, to) - to, (len - 1u) * 2u * to);
    let first = place / (2u * to);
    return Taps(first, min(first + 1u, len - 1u), f32(place % (2u * to)) / f32(2u * to));
}

// The share of place i in element o.
fn share_of(i: u32, o: u32, len: u32, to: u32) -> f32 {
    let t = taps(o, len, to);
    return select(0.0, 1.0 - t.share, t.first == i) + select(0.0, t.share, t.second == i);
}

// The first element in which place i may have a share, or one before it; the last is less than 2 to / len + 4
// further.
fn first_reader(i: u32, len: u32, to: u32) -> u32 {
    // Element o lies at (o + 1/2) len / to - 1/2, which must be above i - 1.
    let o = (2u * max(i, 1u) - 1u) * to / (2u * len);
    return select(max(o, 1u) - 1u, 0u, i == 0u);
}

@compute @workgroup_size(WORKGROUP)
fn resize_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * OH * OW * C {
        return;
    }
    let c = i % C;
    let pixel = i / C;
    let n = pixel / (OH * OW);
    let rows = taps(pixel / OW % OH, ROWS, OH);
    let columns = taps(pixel % OW, COLUMNS, OW);
    let above = (n * IH + TOP + rows.first) * IW + LEFT;
    let below = (n * IH + TOP + rows.second) * IW + LEFT;
    let fx = columns.share;
    let top = (1.0 - fx) * load_x((above + columns.first) * C + c) + fx * load_x((above + columns.second) * C + c);
    let bottom = (1.0 - fx) * load_x((below + columns.first) * C + c) + fx * load_x((below + columns.second) * C + c);
    out[i] = (1.0 - rows.share) * top + rows.share * bottom;
}

@compute @workgroup_size(WORKGROUP)
fn resize_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * IH * IW * C {
        return;
    }
    let c = i % C;
    let pixel = i / C;
    let n = pixel / (IH * IW);
    let iy = pixel / IW % IH;
    let ix = pixel % IW;
    var sum = Cell(0.0);
    if iy >= TOP && iy < TOP + ROWS && ix >= LEFT && ix < LEFT + COLUMNS {
        let y = first_reader(iy - TOP, ROWS, OH);
        let x = first_reader(ix - LEFT, COLUMNS, OW);
        for (var oy = y; oy < min(y + 2u * OH / ROWS + 4u, OH); oy++) {
            let wy = share_of(iy - TOP, oy, ROWS, OH);
            for (var ox = x; ox < min(x + 2u * OW / COLUMNS + 4u, OW); ox++) {
                let share = wy * share_of(ix - LEFT, ox, COLUMNS, OW);
                // Not times 0, as a gradient may be infinite.
                if share > 0.0 {
                    sum += share * load_x(((n * OH + oy) * OW + ox) * C + c);
                }
            }
        }
    }
    if HAS_THROUGH == 1u {
        sum *= derivative(load_through(i));
    }
    out[i] = sum;
}
