//! Batch normalization: sums over the batch, and the elementwise passes that use them.

use pulp::Arch;
use rayon::prelude::*;

use super::scratch;
use crate::exec::host::Memory;
use crate::plan::{BatchNorm, BatchNormBackwardWeight, BatchNormStatistics, BufferId, Op};

/// Parts of a sum over the batch: one task computes each, and they are added in order.
const PARTS: usize = 16;

/// Sums of `term(i)` over `cells` cells, channel by channel.
fn sums(c: usize, cells: usize, term: impl Fn(usize) -> f64 + Sync) -> Vec<f64> {
    let part = cells.div_ceil(PARTS).max(1);
    let parts: Vec<Vec<f64>> = (0..cells.div_ceil(part))
        .into_par_iter()
        .map(|p| {
            let mut sums = vec![0.0; c];
            for cell in p * part..cells.min((p + 1) * part) {
                let terms = (cell * c..(cell + 1) * c).map(&term);
                sums.iter_mut().zip(terms).for_each(|(sum, t)| *sum += t);
            }
            sums
        })
        .collect();
    let mut total = vec![0.0; c];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(t, p)| *t += p);
    }
    total
}

/// Cells of the valid rows of `x`.
fn valid_cells(norm: &BatchNorm, memory: &Memory<'_>, x: BufferId) -> usize {
    memory.floats(x).len() / memory.batch * memory.rows / norm.c
}

fn put(memory: &mut Memory<'_>, id: BufferId, values: &[f64]) {
    memory.put(id, values.iter().map(|&v| v as f32).collect());
}

/// Runs the operations that sum over the batch.
pub(super) fn run(op: &Op, memory: &mut Memory<'_>) {
    match op {
        Op::BatchNormStatistics(BatchNormStatistics {
            norm,
            x,
            mean,
            variance,
            moving,
            momentum,
        }) => {
            let cells = valid_cells(norm, memory, *x);
            let (c, values) = (norm.c, memory.floats(*x));
            let share = |sum: f64| sum / cells as f64;
            let means = sums(c, cells, |i| values[i].into());
            let means: Vec<f64> = means.into_iter().map(share).collect();
            let squares = sums(c, cells, |i| (f64::from(values[i]) - means[i % c]).powi(2));
            let variances: Vec<f64> = squares.into_iter().map(share).collect();
            for (id, moving, now) in [(*mean, moving[0], means), (*variance, moving[1], variances)]
            {
                put(memory, id, &now);
                let mut kept = memory.take(moving);
                for (kept, now) in kept.iter_mut().zip(now) {
                    *kept = (momentum * f64::from(*kept) + (1.0 - momentum) * now) as f32;
                }
                memory.put(moving, kept);
            }
        }
        Op::BatchNormBackwardWeight(BatchNormBackwardWeight {
            norm,
            x,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        }) => {
            let cells = valid_cells(norm, memory, *x);
            let c = norm.c;
            let [x, dy, mean, variance] = [x, dy, mean, variance].map(|&id| memory.floats(id));
            let plain = sums(c, cells, |i| dy[i].into());
            let weighted = sums(c, cells, |i| {
                f64::from(dy[i]) * f64::from(x[i] - mean[i % c])
            });
            let scaled = weighted.iter().zip(variance);
            let scaled: Vec<f64> = scaled
                .map(|(sum, &v)| sum / (f64::from(v) + norm.epsilon).sqrt())
                .collect();
            put(memory, *dgamma, &scaled);
            put(memory, *dbeta, &plain);
        }
        // Works by rows, or is another's.
        _ => {}
    }
}

/// The channels' statistics and parameters.
pub(super) struct Channels<'a> {
    pub norm: BatchNorm,
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub gamma: Option<&'a [f32]>,
}

impl Channels<'_> {
    /// Calls `f` with `1 / sqrt(variance + epsilon)` and its product with gamma, for each channel.
    fn with_scales(&self, f: impl FnOnce(&[f32], &[f32])) {
        let c = self.norm.c;
        scratch::with(2 * c, |both| {
            let (plain, with_gamma) = both.split_at_mut(c);
            for (i, (plain, scaled)) in plain.iter_mut().zip(&mut *with_gamma).enumerate() {
                *plain = 1.0 / (self.variance[i] + self.norm.epsilon as f32).sqrt();
                *scaled = self.gamma.map_or(1.0, |gamma| gamma[i]) * *plain;
            }
            f(plain, with_gamma);
        });
    }

    /// `y = gamma * x̂ + beta` of some rows.
    pub fn forward(&self, arch: Arch, x: &[f32], beta: Option<&[f32]>, y: &mut [f32]) {
        let c = self.norm.c;
        self.with_scales(|_, scales| {
            arch.dispatch(|| {
                for (x, y) in x.chunks_exact(c).zip(y.chunks_exact_mut(c)) {
                    for (i, (x, y)) in x.iter().zip(&mut *y).enumerate() {
                        *y = (x - self.mean[i]) * scales[i];
                    }
                    if let Some(beta) = beta {
                        y.iter_mut().zip(beta).for_each(|(y, beta)| *y += beta);
                    }
                }
            });
        });
    }

    /// `dx` of some valid rows; `m` cells are valid in the batch.
    pub fn backward_input(
        &self,
        arch: Arch,
        (x, dy): (&[f32], &[f32]),
        [dgamma, dbeta]: [&[f32]; 2],
        m: usize,
        dx: &mut [f32],
    ) {
        let (c, m) = (self.norm.c, m as f32);
        self.with_scales(|plain, scales| {
            arch.dispatch(|| {
                let cells = x.chunks_exact(c).zip(dy.chunks_exact(c));
                for ((x, dy), dx) in cells.zip(dx.chunks_exact_mut(c)) {
                    for (i, dx) in dx.iter_mut().enumerate() {
                        let normal = (x[i] - self.mean[i]) * plain[i];
                        let rest = (dbeta[i] + normal * dgamma[i]) / m;
                        *dx = scales[i] * (dy[i] - rest);
                    }
                }
            });
        });
    }
}
