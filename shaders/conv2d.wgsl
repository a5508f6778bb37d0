// conv2d: the convolution and its gradients, one invocation per result, in the order of the
// formulas. These kernels support any shape: they document and check the tiled ones that the host
// generates (src/exec/gpu/tiled), and run where those do not apply.
//
//   forward          y[n, oy, ox, oc] = f(bias[oc]
//                      + Σ_{ky, kx, ic} x[n, iy, ix, ic] * w[ky, kx, ic, oc])
//   backward_input   dx[n, iy, ix, ic] = f'(through)
//                      * Σ_{ky, kx, oc} dy[n, oy, ox, oc] * w[ky, kx, ic, oc]
//   backward_weight  dw[ky, kx, ic, oc] = Σ_{n, oy, ox} x[n, iy, ix, ic] * dy[n, oy, ox, oc]
//                    dbias[oc] = Σ_{n, oy, ox} dy[n, oy, ox, oc]
//
//   with iy = oy * SH + ky * DH - PAD_TOP and ix = ox * SW + kx * DW - PAD_LEFT, inside the input.
//   Channels are divided into GROUPS; an output channel reads the inputs of its own group, and the
//   ic of the kernel counts only these.
//
// Host constants: BATCH; IH, IW, IC; OH, OW, OC; KH, KW; SH, SW; DH, DW; GROUPS; PAD_TOP, PAD_LEFT;
// HAS_BIAS (0 or 1; without a bias any buffer is bound in its place), HAS_THROUGH likewise. The
// host declares the activation of the output, or of `through`. Here a Cell is one f32.
//
// Long sums of the last two kernels are split into PARTS, each over PART_ROWS of the BATCH * OH
// rows of dy. Part s is stored s * STRIDE floats into the output; the parts are summed later
// (partials.wgsl).

@group(1) @binding(0) var<storage, read> a: array<f32>;
@group(1) @binding(1) var<storage, read> b: array<f32>;
@group(1) @binding(2) var<storage, read> c: array<f32>;
@group(1) @binding(3) var<storage, read_write> out: array<f32>;

// Number of input and output channels per group.
const GROUP_IC = IC / GROUPS;
const GROUP_OC = OC / GROUPS;
// Number of weights of the kernel.
const KERNEL = KH * KW * GROUP_IC * OC;

// a = x, b = w, c = bias, out = y
@compute @workgroup_size(WORKGROUP)
fn conv2d_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * OH * OW * OC {
        return;
    }
    let oc = i % OC;
    let ox = (i / OC) % OW;
    let oy = (i / (OC * OW)) % OH;
    let n = i / (OC * OW * OH);
    var sum = 0.0;
    for (var ky = 0u; ky < KH; ky++) {
        // Above the top edge the difference wraps to a huge number: one test covers both edges.
        let iy = oy * SH + ky * DH - PAD_TOP;
        for (var kx = 0u; kx < KW; kx++) {
            let ix = ox * SW + kx * DW - PAD_LEFT;
            if iy < IH && ix < IW {
                let first = ((n * IH + iy) * IW + ix) * IC + oc / GROUP_OC * GROUP_IC;
                for (var ic = 0u; ic < GROUP_IC; ic++) {
                    sum += a[first + ic] * b[((ky * KW + kx) * GROUP_IC + ic) * OC + oc];
                }
            }
        }
    }
    if HAS_BIAS == 1u {
        sum += c[oc];
    }
    out[i] = activate(sum);
}

// a = dy, b = w, c = through, out = dx
@compute @workgroup_size(WORKGROUP)
fn conv2d_backward_input(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    if i >= BATCH * IH * IW * IC {
        return;
    }
    let ic = i % IC;
    let ix = (i / IC) % IW;
    let iy = (i / (IC * IW)) % IH;
    let n = i / (IC * IW * IH);
    var sum = 0.0;
    for (var ky = 0u; ky < KH; ky++) {
        let ty = iy + PAD_TOP - ky * DH;
        for (var kx = 0u; kx < KW; kx++) {
            let tx = ix + PAD_LEFT - kx * DW;
            // A negative difference wraps, and its quotient exceeds the last output.
            if ty % SH == 0u && tx % SW == 0u && ty / SH < OH && tx / SW < OW {
                let first = ic / GROUP_IC * GROUP_OC;
                for (var oc = first; oc < first + GROUP_OC; oc++) {
                    sum += a[((n * OH + ty / SH) * OW + tx / SW) * OC + oc]
                        * b[((ky * KW + kx) * GROUP_IC + ic % GROUP_IC) * OC + oc];
                }
            }
        }
    }
    if HAS_THROUGH == 1u {
        sum *= derivative(c[i]);
    }
    out[i] = sum;
}

// a = x, b = dy, out = dw or parts of it
@compute @workgroup_size(WORKGROUP)
fn conv2d_backward_weight(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    let part = i / KERNEL;
    if part >= PARTS {
        return;
    }
    let oc = i % OC;
    let ic = (i / OC) % GROUP_IC + oc / GROUP_OC * GROUP_IC;
    let kx = (i / (OC * GROUP_IC)) % KW;
    let ky = (i / (OC * GROUP_IC * KW)) % KH;
    var row = part * PART_ROWS;
    let end = min(row + PART_ROWS, BATCH * OH);
    var sum = 0.0;
    while row < end {
        // A separate sum per sample keeps the rounding error of large batches small.
        var sample = 0.0;
        let n = row / OH;
        for (; row < min(end, (n + 1u) * OH); row++) {
            let iy = (row - n * OH) * SH + ky * DH - PAD_TOP;
            for (var ox = 0u; ox < OW; ox++) {
                let ix = ox * SW + kx * DW - PAD_LEFT;
                if iy < IH && ix < IW {
                    sample += a[((n * IH + iy) * IW + ix) * IC + ic]
                        * b[(row * OW + ox) * OC + oc];
                }
            }
        }
        sum += sample;
    }
    out[part * STRIDE + i % KERNEL] = sum;
}

// b = dy, out = dbias or parts of it; a and c are not read.
@compute @workgroup_size(WORKGROUP)
fn conv2d_backward_bias(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let i = flat_index(workgroup, local);
    let part = i / OC;
    if part >= PARTS {
        return;
    }
    let oc = i % OC;
    var row = part * PART_ROWS;
    let end = min(row + PART_ROWS, BATCH * OH);
    var sum = 0.0;
    while row < end {
        var sample = 0.0;
        let next = min(end, (row / OH + 1u) * OH);
        for (var p = row * OW; p < next * OW; p++) {
            sample += b[p * OC + oc];
        }
        sum += sample;
        row = next;
    }
    out[part * STRIDE + oc] = sum;
}
