//! Softmax, forward and backward.

use super::{Definition, put_gradient, rounded};
use crate::exec::host::Memory;
use crate::plan::{SoftmaxBackward, SoftmaxForward};

impl Definition for SoftmaxForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self { width, x, y } = self;
        let out = forward(*width, m.floats(*x));
        m.put(*y, out);
    }
}

impl Definition for SoftmaxBackward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            width,
            dy,
            y,
            dx,
            through,
        } = self;
        let out = backward(*width, m.floats(*dy), m.floats(*y));
        put_gradient(m, *dx, out, through.as_ref());
    }
}

/// `y[r, i] = exp(x[r, i]) / Σ_j exp(x[r, j])`.
pub(super) fn forward(width: usize, x: &[f32]) -> Vec<f32> {
    let rows = x.chunks_exact(width);
    rounded(rows.flat_map(|x| probabilities(x).0).collect())
}

/// `dx[r, i] = y[r, i] * (dy[r, i] - Σ_j dy[r, j] * y[r, j])`.
pub(super) fn backward(width: usize, dy: &[f32], y: &[f32]) -> Vec<f64> {
    let mut dx = Vec::with_capacity(y.len());
    for (dy, y) in dy.chunks_exact(width).zip(y.chunks_exact(width)) {
        let pairs = || {
            let pairs = dy.iter().zip(y);
            pairs.map(|(&dy, &y)| (f64::from(dy), f64::from(y)))
        };
        let dot: f64 = pairs().map(|(dy, y)| dy * y).sum();
        dx.extend(pairs().map(|(dy, y)| y * (dy - dot)));
    }
    dx
}

/// `softmax(x)` and `ln Σ exp(x)` of one row. Subtracts the maximum first, so that the exponentials
/// do not overflow.
pub(super) fn probabilities(x: &[f32]) -> (Vec<f64>, f64) {
    let largest = f64::from(x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let exponentials = x.iter().map(|&x| (f64::from(x) - largest).exp());
    let sum: f64 = exponentials.clone().sum();
    (exponentials.map(|e| e / sum).collect(), largest + sum.ln())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f32, b: f64) -> bool {
        (f64::from(a) - b).abs() <= 1e-7 * b.abs()
    }

    #[test]
    fn forward_by_hand() {
        let ln3 = 3f32.ln();
        let y = forward(2, &[0.0, ln3, 1e4, -1e4, 7.0, 7.0]);
        assert!(close(y[0], 0.25) && close(y[1], 0.75), "{y:?}");
        assert_eq!(y[2..], [1.0, 0.0, 0.5, 0.5]);
    }

    #[test]
    fn backward_by_hand() {
        assert_eq!(backward(2, &[1.0, 3.0], &[0.25, 0.75]), [-0.375, 0.375]);
    }
}
