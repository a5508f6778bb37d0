// x [BATCH, IH, IW, C], out = y [BATCH, OH, OW, C]
@group(1) @binding(1) var<storage, read_write> argmax: array<Words>; // [BATCH, OH, OW, C]

@compute @workgroup_size(WORKGROUP)
fn pool2d_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * OH * OW * C {
        return;
    }
    let c = i % C;
    let ox = (i / C) % OW;
    let oy = (i / (C * OW)) % OH;
    let n = i / (C * OW * OH);
    var first = true;
    var best = Cell(0.0);
    var taken = Words(0u);
    var sum = Cell(0.0);
    for (var ky = 0u; ky < KH; ky++) {
        let iy = oy * SH + ky - PAD_TOP;
        for (var kx = 0u; kx < KW; kx++) {
            let ix = ox * SW + kx - PAD_LEFT;
            if iy < IH && ix < IW {
                let v = load_x(((n * IH + iy) * IW + ix) * C + c);
                let better = (v > best) | is_nan(v) | Bools(first);
                best = select(best, v, better);
                taken = select(taken, Words(ky * KW + kx), better);
                sum += v;
                first = false;
            }
        }
    }
    if KIND == MAX {
        out[i] = best;
        if HAS_ARGMAX == 1u {
            argmax[i] = taken;
        }
    } else if KIND == AVERAGE {
        out[i] = sum / real_cells(oy, ox);
    } else {
        out[i] = sum;
    }
}
