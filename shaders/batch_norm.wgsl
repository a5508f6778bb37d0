// batch_norm: batch normalization with known statistics, channel by channel.
//
//   forward         y[i, c] = gamma[c] * x̂[i, c] + beta[c]
//   backward_input  dx[i, c] = gamma[c] / sqrt(variance[c] + EPSILON)
//                              * (dy[i, c] - dbeta[c] / M - x̂[i, c] * dgamma[c] / M)
//                   with x̂ = (x - mean) / sqrt(variance + EPSILON), in the M = step.rows * CELLS
//                   cells of the valid rows, and 0 in the others; without HAS_SUMS, as the
//                   statistics are constants, dx = gamma[c] / sqrt(variance[c] + EPSILON) * dy[i, c]
//
// One invocation computes one Cell. Host constants: LEN and C in Cells, CELLS of a sample, EPSILON,
// HAS_GAMMA and HAS_BETA (a missing gamma is 1, a missing beta 0). The host declares load_NAME(i)
// for each input.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

fn gamma_of(c: u32) -> Cell {
    if HAS_GAMMA == 1u {
        return load_gamma(c);
    }
    return Cell(1.0);
}
