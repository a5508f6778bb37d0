//! Gradient clipping; see [`Clip`] for the formulas.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::optimizer::Clip;
use crate::plan::ClipGradients;

impl Definition for ClipGradients {
    fn run(&self, m: &mut Memory<'_>) {
        let Self {
            clip,
            gradients,
            norms,
        } = self;
        let all: Vec<&[f32]> = gradients.iter().map(|&g| m.floats(g)).collect();
        let (clipped, found) = apply(*clip, &all);
        for (&id, values) in gradients.iter().zip(clipped) {
            m.put(id, rounded(values));
        }
        if let Some(norms) = norms {
            m.put(*norms, rounded(found));
        }
    }
}

/// The clipped gradients, and the norm of each before clipping.
pub(super) fn apply(clip: Clip, gradients: &[&[f32]]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let squares = |g: &&[f32]| g.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let squares: Vec<f64> = gradients.iter().map(squares).collect();
    let all: f64 = squares.iter().sum();
    let clipped = gradients.iter().zip(&squares).map(|(g, own)| {
        let g = g.iter().map(|&x| f64::from(x));
        match clip {
            Clip::Value(bound) => g.map(|x| x.clamp(-bound, bound)).collect(),
            Clip::Norm(bound) => g.map(|x| x * scale(own.sqrt(), bound)).collect(),
            Clip::GlobalNorm(bound) => g.map(|x| x * scale(all.sqrt(), bound)).collect(),
        }
    });
    (
        clipped.collect(),
        squares.iter().map(|s| s.sqrt()).collect(),
    )
}

/// The factor for gradients of this norm.
fn scale(norm: f64, bound: f64) -> f64 {
    if norm.is_finite() {
        bound / norm.max(bound)
    } else {
        f64::NAN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_by_hand() {
        let gradients: [&[f32]; 2] = [&[3.0, -4.0], &[0.0, 12.0]];
        let (clipped, norms) = apply(Clip::Norm(6.0), &gradients);
        assert_eq!(clipped, [[3.0, -4.0], [0.0, 6.0]]);
        assert_eq!(norms, [5.0, 12.0]);
        let (clipped, _) = apply(Clip::GlobalNorm(6.5), &gradients);
        assert_eq!(clipped, [[1.5, -2.0], [0.0, 6.0]]);
        let (clipped, _) = apply(Clip::Value(3.5), &gradients);
        assert_eq!(clipped, [[3.0, -3.5], [0.0, 3.5]]);
    }

    #[test]
    fn nan_is_never_hidden() {
        for wrong in [f32::NAN, f32::INFINITY] {
            let gradients: [&[f32]; 2] = [&[wrong, 1.0], &[1.0]];
            let (clipped, _) = apply(Clip::Norm(0.5), &gradients);
            assert!(clipped[0].iter().all(|g| g.is_nan()) && clipped[1] == [0.5]);
            let (clipped, _) = apply(Clip::GlobalNorm(0.5), &gradients);
            assert!(clipped.iter().flatten().all(|g| g.is_nan()));
        }
        let (clipped, _) = apply(Clip::Value(0.5), &[&[f32::NAN, 1.0]]);
        assert!(clipped[0][0].is_nan() && clipped[0][1] == 0.5);
    }
}
