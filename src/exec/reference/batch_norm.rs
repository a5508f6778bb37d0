//! Batch normalization. Functions that compute sums receive only the valid rows of `x`.

use super::{Definition, optional, rounded, valid};
use crate::exec::host::Memory;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward, BatchNormMove,
    BatchNormStatistics, Moving,
};

impl Definition for BatchNormStatistics {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            norm,
            x,
            mean,
            variance,
            moving,
        } = self;
        let share = m.rows as f64 / m.part.of as f64;
        let now = statistics(norm, valid(m, *x));
        let ids = [*mean, *variance].into_iter().zip(moving.written());
        for ((id, to), now) in ids.zip(now) {
            let moved = match moving {
                Moving::Move { momentum, .. } => moved(*momentum, m.floats(to), &now),
                Moving::Parts(_) => rounded(now.iter().map(|now| share * now).collect()),
            };
            m.put(to, moved);
            m.put(id, rounded(now));
        }
    }
}

impl Definition for BatchNormMove {
    fn run(&self, m: &mut Memory<'_>) {
        let now: Vec<f64> = m.floats(self.now).iter().map(|&now| now.into()).collect();
        let moved = moved(self.momentum, m.floats(self.moving), &now);
        m.put(self.moving, moved);
    }
}

impl Definition for BatchNormForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
            y,
        } = self;
        let normal = Normal {
            norm: *norm,
            x: m.floats(*x),
            mean: m.floats(*mean),
            variance: m.floats(*variance),
        };
        let out = normal.forward(optional(m, gamma), optional(m, beta));
        m.put(*y, out);
    }
}

impl Definition for BatchNormBackwardWeight {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            norm,
            x,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        } = self;
        let normal = Normal {
            norm: *norm,
            x: valid(m, *x),
            mean: m.floats(*mean),
            variance: m.floats(*variance),
        };
        let [gamma, beta] = normal.backward_weight(m.floats(*dy));
        m.put(*dgamma, rounded(gamma));
        m.put(*dbeta, rounded(beta));
    }
}

impl Definition for BatchNormBackwardInput {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            norm,
            x,
            dy,
            mean,
            variance,
            gamma,
            sums,
            dx,
        } = self;
        let normal = Normal {
            norm: *norm,
            x: valid(m, *x),
            mean: m.floats(*mean),
            variance: m.floats(*variance),
        };
        let sums = sums.map(|ids| ids.map(|id| m.floats(id)));
        let mut out = normal.backward_input(m.floats(*dy), optional(m, gamma), sums);
        out.resize(m.floats(*x).len(), 0.0);
        m.put(*dx, rounded(out));
    }
}

/// Sums of `term(i)` over the cells, channel by channel.
fn sums(norm: &BatchNorm, cells: usize, term: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sums = vec![0.0; norm.c];
    for i in 0..cells * norm.c {
        sums[i % norm.c] += term(i);
    }
    sums
}

/// `mean = Σ x / m` and `variance = Σ (x - mean)² / m`.
pub(super) fn statistics(norm: &BatchNorm, x: &[f32]) -> [Vec<f64>; 2] {
    let m = x.len() / norm.c;
    let mean: Vec<f64> = sums(norm, m, |i| f64::from(x[i]) / m as f64);
    let distance = |i: usize| f64::from(x[i]) - mean[i % norm.c];
    let variance = sums(norm, m, |i| distance(i).powi(2) / m as f64);
    [mean, variance]
}

/// `momentum * moving + (1 - momentum) * now`.
pub(super) fn moved(momentum: f64, moving: &[f32], now: &[f64]) -> Vec<f32> {
    let pairs = moving.iter().zip(now);
    rounded(
        pairs
            .map(|(&moving, now)| momentum * f64::from(moving) + (1.0 - momentum) * now)
            .collect(),
    )
}

/// A tensor with its statistics.
pub(super) struct Normal<'a> {
    pub(super) norm: BatchNorm,
    pub(super) x: &'a [f32],
    pub(super) mean: &'a [f32],
    pub(super) variance: &'a [f32],
}

impl Normal<'_> {
    fn scale(&self, i: usize) -> f64 {
        1.0 / (f64::from(self.variance[i % self.norm.c]) + self.norm.epsilon).sqrt()
    }

    /// `x̂ = (x - mean) / sqrt(variance + epsilon)`.
    fn at(&self, i: usize) -> f64 {
        (f64::from(self.x[i]) - f64::from(self.mean[i % self.norm.c])) * self.scale(i)
    }

    /// `y = gamma * x̂ + beta`.
    pub(super) fn forward(&self, gamma: Option<&[f32]>, beta: Option<&[f32]>) -> Vec<f32> {
        let of = |p: Option<&[f32]>, i: usize| p.map(|p| f64::from(p[i % self.norm.c]));
        let y = (0..self.x.len())
            .map(|i| of(gamma, i).unwrap_or(1.0) * self.at(i) + of(beta, i).unwrap_or(0.0));
        rounded(y.collect())
    }

    /// `dgamma = Σ dy * x̂`, `dbeta = Σ dy`.
    pub(super) fn backward_weight(&self, dy: &[f32]) -> [Vec<f64>; 2] {
        let cells = self.x.len() / self.norm.c;
        let dgamma = sums(&self.norm, cells, |i| f64::from(dy[i]) * self.at(i));
        [dgamma, sums(&self.norm, cells, |i| f64::from(dy[i]))]
    }

    /// `dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / m - x̂ * dgamma / m)`; without `sums`,
    /// dgamma and dbeta, the statistics are constants and only `dy` is left in the parentheses.
    pub(super) fn backward_input(
        &self,
        dy: &[f32],
        gamma: Option<&[f32]>,
        sums: Option<[&[f32]; 2]>,
    ) -> Vec<f64> {
        let m = (self.x.len() / self.norm.c) as f64;
        let dx = (0..self.x.len()).map(|i| {
            let c = i % self.norm.c;
            let gamma = gamma.map_or(1.0, |gamma| f64::from(gamma[c]));
            let rest = sums.map_or(0.0, |[dgamma, dbeta]| {
                (f64::from(dbeta[c]) + self.at(i) * f64::from(dgamma[c])) / m
            });
            gamma * self.scale(i) * (f64::from(dy[i]) - rest)
        });
        dx.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NORM: BatchNorm = BatchNorm { c: 2, epsilon: 1.0 };
    /// Two channels of two cells: 1 and 3, and 10 and 10.
    const X: [f32; 4] = [1.0, 10.0, 3.0, 10.0];

    fn normal() -> Normal<'static> {
        Normal {
            norm: NORM,
            x: &X,
            mean: &[2.0, 10.0],
            variance: &[3.0, 0.0],
        }
    }

    #[test]
    fn statistics_by_hand() {
        let [mean, variance] = statistics(&NORM, &X);
        assert_eq!((mean, variance), (vec![2.0, 10.0], vec![1.0, 0.0]));
        assert_eq!(moved(0.75, &[4.0], &[8.0]), [5.0]);
    }

    #[test]
    fn forward_by_hand() {
        let y = normal().forward(Some(&[2.0, 2.0]), Some(&[0.5, 0.25]));
        assert_eq!(y, [-0.5, 0.25, 1.5, 0.25]);
        assert_eq!(normal().forward(None, None), [-0.5, 0.0, 0.5, 0.0]);
    }

    #[test]
    fn backward_by_hand() {
        let dy = [1.0, 1.0, 3.0, 0.0];
        let [dgamma, dbeta] = normal().backward_weight(&dy);
        assert_eq!((dgamma, dbeta), (vec![1.0, 0.0], vec![4.0, 1.0]));
        let gamma = Some(&[2.0, 1.0][..]);
        let dx = normal().backward_input(&dy, gamma, Some([&[1.0, 0.0], &[4.0, 1.0]]));
        // 1 - (4 - 0.5) / 2, 1 - 1 / 2, 3 - (4 + 0.5) / 2, 0 - 1 / 2
        assert_eq!(dx, [-0.75, 0.5, 0.75, -0.5]);
        // 2 / sqrt(3 + 1) and 1 / sqrt(0 + 1) times dy.
        let dx = normal().backward_input(&dy, gamma, None);
        assert_eq!(dx, [1.0, 1.0, 3.0, 0.0]);
    }
}
