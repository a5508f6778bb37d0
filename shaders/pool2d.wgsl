// pool2d: max, average and sum pooling. Padding never counts.
//
//   forward   y[n, oy, ox, c] = max, mean or sum of x[n, iy, ix, c] over the window's real cells;
//             a max in training also notes the cell taken, argmax = ky * KW + kx, the first of
//             equal ones in row-major order.
//   backward  dx[n, iy, ix, c] = f'(through) * Σ dy[n, oy, ox, c] * share over the windows that
//             hold (iy, ix): 1 for a sum, 1 / real cells for an average, and for a max 1 where
//             argmax names this cell.
//
// One invocation computes one Cell. Host constants: BATCH; IH, IW, OH, OW; C in Cells; KH, KW; SH,
// SW; PAD_TOP, PAD_LEFT; KIND; HAS_THROUGH; HAS_ARGMAX. Unused bindings hold another buffer. The
// host declares load_NAME(i) for each input, and the activation.

const MAX = 0u;
const AVERAGE = 1u;

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

// The real cells under the window of output (oy, ox).
fn real_cells(oy: u32, ox: u32) -> f32 {
    var rows = 0u;
    for (var ky = 0u; ky < KH; ky++) {
        rows += select(0u, 1u, oy * SH + ky - PAD_TOP < IH);
    }
    var columns = 0u;
    for (var kx = 0u; kx < KW; kx++) {
        columns += select(0u, 1u, ox * SW + kx - PAD_LEFT < IW);
    }
    return f32(rows * columns);
}
