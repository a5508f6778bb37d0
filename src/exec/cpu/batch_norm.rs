//! Batch normalization: sums over the batch, and the elementwise passes that use them.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::rows::{RowBlock, RowWise};
use super::{BatchWise, scratch};
use crate::exec::host::Memory;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward, BatchNormMove,
    BatchNormStatistics, BufferId, Moving,
};

/// Parts of a sum over the batch: one task computes each, and they are added in order.
const PARTS: usize = 16;

/// What is summed over the cells, channel by channel.
trait Terms: Sync {
    /// The number of sums of each channel.
    const SUMS: usize;

    /// Adds the terms of one cell, which is at `cell` in the tensors, to the sums: first those of
    /// the first kind for all channels, then those of the next.
    fn add(&self, cell: Range<usize>, sums: &mut [f64]);
}

/// The values themselves.
struct ValueTerms<'a>(&'a [f32]);

impl Terms for ValueTerms<'_> {
    const SUMS: usize = 1;

    #[inline(always)]
    fn add(&self, cell: Range<usize>, sums: &mut [f64]) {
        for (sum, value) in sums.iter_mut().zip(&self.0[cell]) {
            *sum += f64::from(*value);
        }
    }
}

/// The squared distances from the means.
struct SquareTerms<'a> {
    values: &'a [f32],
    means: &'a [f64],
}

impl Terms for SquareTerms<'_> {
    const SUMS: usize = 1;

    #[inline(always)]
    fn add(&self, cell: Range<usize>, sums: &mut [f64]) {
        let terms = self.values[cell].iter().zip(self.means);
        for (sum, (value, mean)) in sums.iter_mut().zip(terms) {
            let distance = f64::from(*value) - mean;
            *sum += distance * distance;
        }
    }
}

/// The gradients, and their products with the distances from the means.
struct GradientTerms<'a> {
    dy: &'a [f32],
    x: &'a [f32],
    mean: &'a [f32],
}

impl Terms for GradientTerms<'_> {
    const SUMS: usize = 2;

    #[inline(always)]
    fn add(&self, cell: Range<usize>, sums: &mut [f64]) {
        let (plain, weighted) = sums.split_at_mut(cell.len());
        let (dy, x) = (&self.dy[cell.clone()], &self.x[cell]);
        let sums = plain.iter_mut().zip(weighted);
        let terms = dy.iter().zip(x).zip(self.mean);
        for ((plain, weighted), ((dy, x), mean)) in sums.zip(terms) {
            *plain += f64::from(*dy);
            *weighted += f64::from(*dy) * f64::from(x - mean);
        }
    }
}

/// One of the partial sums. A type and not a closure, as the compiler would use no vectors in a closure
/// that it does not inline.
struct PartialSum<'a, T> {
    terms: &'a T,
    c: usize,
    cells: Range<usize>,
    sums: &'a mut [f64],
}

impl<T: Terms> WithSimd for PartialSum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for cell in self.cells {
            self.terms
                .add(cell * self.c..(cell + 1) * self.c, self.sums);
        }
    }
}

/// The sums of `terms` over `cells` cells.
fn sums<T: Terms>(arch: Arch, c: usize, cells: usize, terms: &T) -> Vec<f64> {
    let part = cells.div_ceil(PARTS).max(1);
    let parts: Vec<Vec<f64>> = (0..cells.div_ceil(part))
        .into_par_iter()
        .map(|p| {
            let mut sums = vec![0.0; T::SUMS * c];
            arch.dispatch(PartialSum {
                terms,
                c,
                cells: p * part..cells.min((p + 1) * part),
                sums: &mut sums,
            });
            sums
        })
        .collect();
    let mut total = vec![0.0; T::SUMS * c];
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
    fn run(&self, arch: Arch, memory: &mut Memory<'_>) {
        let cells = valid_cells(&self.norm, memory, self.x);
        let (c, values) = (self.norm.c, memory.floats(self.x));
        let share = |sum: f64| sum / cells as f64;
        let means = sums(arch, c, cells, &ValueTerms(values));
        let means: Vec<f64> = means.into_iter().map(share).collect();
        let squares = SquareTerms {
            values,
            means: &means,
        };
        let squares = sums(arch, c, cells, &squares);
        let variances: Vec<f64> = squares.into_iter().map(share).collect();
        let [to_mean, to_variance] = self.moving.written();
        let results = [
            (self.mean, to_mean, means),
            (self.variance, to_variance, variances),
        ];
        let share = memory.rows as f64 / memory.part.of as f64;
        for (id, to, now) in results {
            put(memory, id, &now);
            match self.moving {
                Moving::Move { momentum, .. } => move_towards(memory, to, &now, momentum),
                Moving::Parts(_) => {
                    let part: Vec<f64> = now.iter().map(|now| share * now).collect();
                    put(memory, to, &part);
                }
            }
        }
    }
}

impl BatchWise for BatchNormMove {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        let now = memory.floats(self.now).iter();
        let now: Vec<f64> = now.map(|&now| now.into()).collect();
        move_towards(memory, self.moving, &now, self.momentum);
    }
}

/// Moves a moving statistic towards that of a step.
fn move_towards(memory: &mut Memory<'_>, moving: BufferId, now: &[f64], momentum: f64) {
    let mut kept = memory.take(moving);
    for (kept, now) in kept.iter_mut().zip(now) {
        *kept = (momentum * f64::from(*kept) + (1.0 - momentum) * now) as f32;
    }
    memory.put(moving, kept);
}

impl BatchWise for BatchNormBackwardWeight {
    fn run(&self, arch: Arch, memory: &mut Memory<'_>) {
        let cells = valid_cells(&self.norm, memory, self.x);
        let c = self.norm.c;
        let inputs = [self.x, self.dy, self.mean, self.variance];
        let [x, dy, mean, variance] = inputs.map(|id| memory.floats(id));
        let both = sums(arch, c, cells, &GradientTerms { dy, x, mean });
        let (plain, weighted) = both.split_at(c);
        let scaled = weighted.iter().zip(variance);
        let scaled: Vec<f64> = scaled
            .map(|(sum, &v)| sum / (f64::from(v) + self.norm.epsilon).sqrt())
            .collect();
        put(memory, self.dgamma, &scaled);
        put(memory, self.dbeta, plain);
    }
}

impl RowWise for BatchNormForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
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
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, memory) = (block.arch(), block.memory());
        let channels = Channels {
            norm: self.norm,
            mean: memory.floats(self.mean),
            variance: memory.floats(self.variance),
            gamma: self.gamma.map(|id| memory.floats(id)),
        };
        let sums = (self.sums).map(|ids| ids.map(|id| memory.floats(id)));
        block.write(self.dx, |block, dx| {
            let row = dx.len() / block.rows().len();
            let valid = block.valid() * row;
            let (now, rest) = dx.split_at_mut(valid);
            let inputs = (
                &block.floats(self.x)[..valid],
                &block.floats(self.dy)[..valid],
            );
            let cells = memory.rows * row / self.norm.c;
            match sums {
                Some(sums) => channels.backward_input(arch, inputs, sums, cells, now),
                None => channels.backward_constant(arch, inputs.1, now),
            }
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
        self.with_scales(|_, scales| {
            arch.dispatch(Normalize {
                mean: self.mean,
                scales,
                beta,
                x,
                y,
            });
        });
    }

    /// `dx` of some valid rows, if the statistics are constants.
    fn backward_constant(&self, arch: Arch, dy: &[f32], dx: &mut [f32]) {
        self.with_scales(|_, scales| {
            arch.dispatch(|| {
                let cells = dy.chunks_exact(self.norm.c);
                for (dy, dx) in cells.zip(dx.chunks_exact_mut(self.norm.c)) {
                    for ((dx, dy), scale) in dx.iter_mut().zip(dy).zip(scales) {
                        *dx = scale * dy;
                    }
                }
            });
        });
    }

    /// `dx` of some valid rows, if the statistics are the batch's; `m` cells are valid in the batch.
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

/// See [`Channels::forward`].
struct Normalize<'a> {
    mean: &'a [f32],
    scales: &'a [f32],
    beta: Option<&'a [f32]>,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let c = self.mean.len();
        for (x, y) in self.x.chunks_exact(c).zip(self.y.chunks_exact_mut(c)) {
            let channels = self.mean.iter().zip(self.scales);
            for ((x, y), (mean, scale)) in x.iter().zip(&mut *y).zip(channels) {
                *y = (x - mean) * scale;
            }
            if let Some(beta) = self.beta {
                y.iter_mut().zip(beta).for_each(|(y, beta)| *y += beta);
            }
        }
    }
}
