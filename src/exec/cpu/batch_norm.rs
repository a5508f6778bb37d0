//! Batch normalization: sums over the batch, and the elementwise passes that use them.

use pulp::Arch;
use rayon::prelude::*;

use super::rows::{Block, RowWise};
use super::{BatchWise, scratch};
use crate::exec::host::Memory;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward,
    BatchNormStatistics, BufferId,
};

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

impl BatchWise for BatchNormStatistics {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        let cells = valid_cells(&self.norm, memory, self.x);
        let (c, values) = (self.norm.c, memory.floats(self.x));
        let share = |sum: f64| sum / cells as f64;
        let means = sums(c, cells, |i| values[i].into());
        let means: Vec<f64> = means.into_iter().map(share).collect();
        let squares = sums(c, cells, |i| (f64::from(values[i]) - means[i % c]).powi(2));
        let variances: Vec<f64> = squares.into_iter().map(share).collect();
        let [moving_mean, moving_variance] = self.moving;
        let results = [
            (self.mean, moving_mean, means),
            (self.variance, moving_variance, variances),
        ];
        for (id, moving, now) in results {
            put(memory, id, &now);
            let mut kept = memory.take(moving);
            for (kept, now) in kept.iter_mut().zip(now) {
                *kept = (self.momentum * f64::from(*kept) + (1.0 - self.momentum) * now) as f32;
            }
            memory.put(moving, kept);
        }
    }
}

impl BatchWise for BatchNormBackwardWeight {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        let cells = valid_cells(&self.norm, memory, self.x);
        let c = self.norm.c;
        let inputs = [self.x, self.dy, self.mean, self.variance];
        let [x, dy, mean, variance] = inputs.map(|id| memory.floats(id));
        let plain = sums(c, cells, |i| dy[i].into());
        let weighted = sums(c, cells, |i| {
            f64::from(dy[i]) * f64::from(x[i] - mean[i % c])
        });
        let scaled = weighted.iter().zip(variance);
        let scaled: Vec<f64> = scaled
            .map(|(sum, &v)| sum / (f64::from(v) + self.norm.epsilon).sqrt())
            .collect();
        put(memory, self.dgamma, &scaled);
        put(memory, self.dbeta, &plain);
    }
}

impl RowWise for BatchNormForward {
    fn run(&self, block: &mut Block<'_, '_, '_>) {
        let (arch, memory) = (block.arch(), block.memory());
        let channels = Channels {
            norm: self.norm,
            mean: memory.floats(self.mean),
            variance: memory.floats(self.variance),
            gamma: self.gamma.map(|id| memory.floats(id)),
        };
        let beta = self.beta.map(|id| memory.floats(id));
        block.write(self.y, |block, y| {
            channels.forward(arch, block.floats(self.x), beta, y);
        });
    }
}

impl RowWise for BatchNormBackwardInput {
    fn run(&self, block: &mut Block<'_, '_, '_>) {
        let (arch, memory) = (block.arch(), block.memory());
        let channels = Channels {
            norm: self.norm,
            mean: memory.floats(self.mean),
            variance: memory.floats(self.variance),
            gamma: self.gamma.map(|id| memory.floats(id)),
        };
        let sums = [self.dgamma, self.dbeta].map(|id| memory.floats(id));
        block.write(self.dx, |block, dx| {
            let row = dx.len() / block.rows().len();
            let valid = block.valid() * row;
            let (now, rest) = dx.split_at_mut(valid);
            let inputs = (
                &block.floats(self.x)[..valid],
                &block.floats(self.dy)[..valid],
            );
            let cells = memory.rows * row / self.norm.c;
            channels.backward_input(arch, inputs, sums, cells, now);
            rest.fill(0.0);
        });
    }
}

/// The channels' statistics and parameters.
struct Channels<'a> {
    norm: BatchNorm,
    mean: &'a [f32],
    variance: &'a [f32],
    gamma: Option<&'a [f32]>,
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
    fn forward(&self, arch: Arch, x: &[f32], beta: Option<&[f32]>, y: &mut [f32]) {
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
    fn backward_input(
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
