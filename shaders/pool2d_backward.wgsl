// a = dy [BATCH, OH, OW, C], out = dx [BATCH, IH, IW, C]
@group(1) @binding(2) var<storage, read> argmax: array<Words>; // [BATCH, OH, OW, C]
@group(1) @binding(3) var<storage, read> through: array<Cell>; // [BATCH, IH, IW, C]

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
    // The windows that hold row iy start at output rows (iy + PAD_TOP - KH, iy + PAD_TOP] / SH.
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
                sum += select(Cell(0.0), a[o], argmax[o] == Words(here));
            } else if KIND == AVERAGE {
                sum += a[o] / real_cells(oy, ox);
            } else {
                sum += a[o];
            }
        }
    }
    if HAS_THROUGH == 1u {
        sum *= derivative(ACTIVATION, through[i]);
    }
    out[i] = sum;
}
