// dy and argmax [BATCH, OH, OW, C], through and out = dx [BATCH, IH, IW, C]

@compute @workgroup_size(WORKGROUP)
fn pool2d_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * IH * IW * C {
        return;
    }
    let c = i % C;
    let ix = (i / C) % IW;
    let iy = (i / (C * IW)) % IH;
    let n = i / (C * IW * IH);
    // The windows that contain row iy start at output rows (iy + PAD_TOP - KH, iy + PAD_TOP] / SH.
    let ty = iy + PAD_TOP;
    let tx = ix + PAD_LEFT;
    let oy_first = select(0u, (ty - KH) / SH + 1u, ty >= KH);
    let ox_first = select(0u, (tx - KW) / SW + 1u, tx >= KW);
    var sum = Cell(0.0);
    for (var oy = oy_first; oy <= min(ty / SH, OH - 1u); oy++) {
        for (var ox = ox_first; ox <= min(tx / SW, OW - 1u); ox++) {
            let o = ((n * OH + oy) * OW + ox) * C + c;
            let here = (ty - oy * SH) * KW + (tx - ox * SW);
            if KIND == MAX {
                sum += select(Cell(0.0), load_dy(o), load_argmax(o) == Words(here));
            } else if KIND == AVERAGE {
                sum += load_dy(o) / real_cells(oy, ox);
            } else {
                sum += load_dy(o);
            }
        }
    }
    if HAS_THROUGH == 1u {
        sum *= derivative(load_through(i));
    }
    out[i] = sum;
}

// The same if windows do not overlap and nothing is padded: one invocation writes the SH x SW cells
// of dx from one window's corner, each of which receives its share of one dy or nothing. Host
// constants: BH = ceil(IH / SH) and BW = ceil(IW / SW), the number of such blocks; THROUGH_POOLED
// if `through` is the max pool's own output [BATCH, OH, OW, C], which equals its largest cells.
@compute @workgroup_size(WORKGROUP)
fn pool2d_backward_disjoint(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * BH * BW * C {
        return;
    }
    let c = i % C;
    let ox = (i / C) % BW;
    let oy = (i / (C * BW)) % BH;
    let n = i / (C * BW * BH);
    var share = Cell(0.0);
    var taken = Words(0u);
    if oy < OH && ox < OW {
        let o = ((n * OH + oy) * OW + ox) * C + c;
        share = load_dy(o);
        if KIND == MAX {
            taken = load_argmax(o);
        } else if KIND == AVERAGE {
            share /= f32(KH * KW);
        }
        if THROUGH_POOLED == 1u {
            share *= derivative(load_through(o));
        }
    }
    for (var ky = 0u; ky < SH; ky++) {
        for (var kx = 0u; kx < SW; kx++) {
            let iy = oy * SH + ky;
            let ix = ox * SW + kx;
            if iy < IH && ix < IW {
                let at = ((n * IH + iy) * IW + ix) * C + c;
                var dx = select(Cell(0.0), share, Bools(ky < KH && kx < KW));
                if KIND == MAX {
                    dx = select(Cell(0.0), dx, taken == Words(ky * KW + kx));
                }
                if HAS_THROUGH == 1u && THROUGH_POOLED == 0u {
                    dx *= derivative(load_through(at));
                }
                out[at] = dx;
            }
        }
    }
}
