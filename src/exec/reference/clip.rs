//! Gradients that are too large; the formulas stand at [`Clip`].

use crate::optimizer::Clip;

/// The clipped gradients, and the sum of squares of each before.
pub(super) fn apply(clip: Clip, gradients: &[&[f32]]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let squares = |g: &&[f32]| g.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let squares: Vec<f64> = gradients.iter().map(squares).collect();
    let all: f64 = squares.iter().sum();
    let clipped = gradients.iter().zip(&squares).map(|(g, own)| {
        let g = g.iter().map(|&x| f64::from(x));
        match clip {
            Clip::Value(bound) => g.map(|x| x.clamp(-bound, bound)).collect(),
            Clip::Norm(bound) => g.map(|x| x * scale(*own, bound)).collect(),
            Clip::GlobalNorm(bound) => g.map(|x| x * scale(all, bound)).collect(),
        }
    });
    (clipped.collect(), squares)
}

/// What gradients with this sum of squares are multiplied with. A NaN stays one.
fn scale(squares: f64, bound: f64) -> f64 {
    let norm = squares.sqrt();
    if norm <= bound { 1.0 } else { bound / norm }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_by_hand() {
        let gradients: [&[f32]; 2] = [&[3.0, -4.0], &[0.0, 12.0]];
        let (clipped, squares) = apply(Clip::Norm(6.0), &gradients);
        assert_eq!(clipped, [[3.0, -4.0], [0.0, 6.0]]);
        assert_eq!(squares, [25.0, 144.0]);
        let (clipped, _) = apply(Clip::GlobalNorm(6.5), &gradients);
        assert_eq!(clipped, [[1.5, -2.0], [0.0, 6.0]]);
        let (clipped, _) = apply(Clip::Value(3.5), &gradients);
        assert_eq!(clipped, [[3.0, -3.5], [0.0, 3.5]]);
    }

    #[test]
    fn nan_is_never_hidden() {
        let gradients: [&[f32]; 2] = [&[f32::NAN, 1.0], &[1.0]];
        let (clipped, _) = apply(Clip::Value(0.5), &gradients);
        assert!(clipped[0][0].is_nan() && clipped[1] == [0.5]);
        let (clipped, _) = apply(Clip::GlobalNorm(0.5), &gradients);
        assert!(clipped.iter().flatten().all(|g| g.is_nan()));
    }
}
