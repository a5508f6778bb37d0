//! Optimizer steps; see [`Optimizer`] for the formulas.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::BatchWise;
use crate::exec::host::{Memory, Moments};
use crate::optimizer::{Optimizer, Rates, UpdateRule};
use crate::plan::Update;

/// Parameters per task.
const CHUNK: usize = 8192;

/// One optimizer step of one parameter.
fn update(
    arch: Arch,
    optimizer: &Optimizer,
    rates: Rates,
    (w, g): (&mut [f32], &[f32]),
    moments: &mut Moments,
) {
    let Moments { m, v, average } = moments;
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    let chunks = w
        .par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(moments)
        .zip(average.par_chunks_mut(CHUNK));
    chunks.for_each(|(((w, g), (m, v)), average)| {
        arch.dispatch(Chunk {
            optimizer,
            rates,
            w,
            g,
            m,
            v,
            average,
        });
    });
}

struct Chunk<'a> {
    optimizer: &'a Optimizer,
    rates: Rates,
    w: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    average: &'a mut [f32],
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Rates {
            rate,
            decay,
            keep,
            overwrites,
        } = self.rates;
        if decay != 0.0 {
            self.w.iter_mut().for_each(|w| *w -= decay * *w);
        }
        let moments = self.m.iter_mut().zip(self.v);
        let cells = self.w.iter_mut().zip(self.g).zip(moments);
        let cells = cells.map(|((w, g), (m, v))| (w, *g, m, v));
        step(&self.optimizer.rule, rate, cells);
        if self.optimizer.ema_momentum.is_some() {
            for (average, w) in self.average.iter_mut().zip(self.w) {
                *average = keep * *average + (1.0 - keep) * *w;
                if overwrites {
                    *w = *average;
                }
            }
        }
    }
}

#[inline(always)]
fn step<'a>(
    rule: &UpdateRule,
    rate: f32,
    cells: impl Iterator<Item = (&'a mut f32, f32, &'a mut f32, &'a mut f32)>,
) {
    match *rule {
        UpdateRule::Sgd {
            momentum, nesterov, ..
        } => cells.for_each(|(w, g, m, _)| sgd(rate, momentum as f32, nesterov, w, g, m)),
        UpdateRule::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => cells.for_each(|(w, g, m, v)| {
            let (momentum, epsilon) = (momentum as f32, epsilon as f32);
            *v = rho as f32 * *v + (1.0 - rho) as f32 * g * g;
            let u = rate * g / (*v + epsilon).sqrt();
            if momentum == 0.0 {
                *w -= u;
                return;
            }
            *m = momentum * *m + u;
            *w -= *m;
        }),
        UpdateRule::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => cells.for_each(|(w, g, m, v)| {
            *m += (1.0 - beta_1) as f32 * (g - *m);
            *v += (1.0 - beta_2) as f32 * (g * g - *v);
            *w -= rate * *m / (v.sqrt() + epsilon as f32);
        }),
    }
}

/// Without momentum, `m` does not change.
#[inline(always)]
fn sgd(rate: f32, momentum: f32, nesterov: bool, w: &mut f32, g: f32, m: &mut f32) {
    let plain = rate * g;
    if momentum == 0.0 {
        *w -= plain;
        return;
    }
    *m = momentum * *m - plain;
    *w += if nesterov { momentum * *m - plain } else { *m };
}

impl BatchWise for Update {
    fn run(&self, arch: Arch, memory: &mut Memory<'_>) {
        let pairs = self.params.iter().zip(&self.gradients);
        for ((&param, &gradient), factor) in pairs.zip(&self.factors) {
            let Some(number) = memory.parameter(param) else {
                continue;
            };
            let mut w = memory.take(param);
            let mut moments = std::mem::take(&mut memory.moments[number]);
            let values = (w.as_mut_slice(), memory.floats(gradient));
            let rates = Rates {
                rate: factor * memory.rates.rate,
                ..memory.rates
            };
            update(arch, &self.optimizer, rates, values, &mut moments);
            memory.moments[number] = moments;
            memory.put(param, w);
        }
    }
}
