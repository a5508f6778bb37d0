//! Optimizer steps; see [`Optimizer`] for the formulas.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use crate::optimizer::Optimizer;

/// Parameters that one task updates.
const CHUNK: usize = 8192;

/// One step of one parameter.
pub(super) fn update(
    arch: Arch,
    optimizer: &Optimizer,
    rate: f32,
    w: &mut [f32],
    g: &[f32],
    (m, v): (&mut [f32], &mut [f32]),
) {
    let moments = m.par_chunks_mut(CHUNK).zip(v.par_chunks_mut(CHUNK));
    let chunks = w
        .par_chunks_mut(CHUNK)
        .zip(g.par_chunks(CHUNK))
        .zip(moments);
    chunks.for_each(|((w, g), (m, v))| {
        arch.dispatch(Chunk {
            optimizer,
            rate,
            w,
            g,
            m,
            v,
        });
    });
}

struct Chunk<'a> {
    optimizer: &'a Optimizer,
    rate: f32,
    w: &'a mut [f32],
    g: &'a [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
}

impl WithSimd for Chunk<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let cells = self
            .w
            .iter_mut()
            .zip(self.g)
            .zip(self.m.iter_mut().zip(self.v));
        let cells = cells.map(|((w, g), (m, v))| (w, *g, m, v));
        step(self.optimizer, self.rate, cells);
    }
}

#[inline(always)]
fn step<'a>(
    optimizer: &Optimizer,
    rate: f32,
    cells: impl Iterator<Item = (&'a mut f32, f32, &'a mut f32, &'a mut f32)>,
) {
    match *optimizer {
        Optimizer::Sgd {
            momentum, nesterov, ..
        } => cells.for_each(|(w, g, m, _)| sgd(rate, momentum as f32, nesterov, w, g, m)),
        Optimizer::RmsProp {
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
        Optimizer::Adam {
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

/// Without momentum, `m` stays as it is.
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
