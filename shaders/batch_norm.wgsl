// batch_norm: batch normalization where the statistics are known, channel by channel.
//
//   forward         y[i, c] = gamma[c] * (x[i, c] - mean[c]) / sqrt(variance[c] + EPSILON) + beta[c]
//   backward_input  dx[i, c] = gamma[c] / sqrt(variance[c] + EPSILON)
//                              * (dy[i, c] - dbeta[c] / M - x̂[i, c] * dgamma[c] / M)
//                   with x̂ = (x - mean) / sqrt(variance + EPSILON), in the M = step.rows * CELLS
//                   cells of the valid rows, and 0 in the others
//
// One invocation makes one Cell. Host constants: LEN and C in Cells, CELLS of a sample, EPSILON,
// HAS_GAMMA and HAS_BETA (1 and 0 stand for what is missing). The host declares load_NAME(i) for what
// is read.

@group(1) @binding(0) var<storage, read_write> out: array<Cell>;

fn gamma_of(c: u32) -> Cell {
    if HAS_GAMMA == 1u {
        return load_gamma(c);
    }
    return Cell(1.0);
}
