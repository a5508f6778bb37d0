//! Pointwise activations, forward and backward.

use super::rounded;
use crate::model::Activation;

/// `y = f(x)`.
pub(super) fn forward(f: Activation, x: &[f32]) -> Vec<f32> {
    rounded(x.iter().map(|&x| f.apply(f64::from(x))).collect())
}

/// `dx = f'(x) * dy`, the derivative as a function of `y = f(x)`.
pub(super) fn backward(f: Activation, y: &[f32], dy: &[f64]) -> Vec<f64> {
    let cells = y.iter().zip(dy);
    cells
        .map(|(&y, &dy)| f.derivative(f64::from(y)) * dy)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_by_hand() {
        assert_eq!(
            forward(Activation::Relu, &[-2.0, 0.0, 3.0]),
            [0.0, 0.0, 3.0]
        );
        assert_eq!(
            forward(Activation::Sigmoid, &[0.0, 100.0, -200.0]),
            [0.5, 1.0, 0.0]
        );
        assert_eq!(
            forward(Activation::Tanh, &[0.0, 100.0, -100.0]),
            [0.0, 1.0, -1.0]
        );
        assert_eq!(forward(Activation::Linear, &[-2.0]), [-2.0]);
    }

    #[test]
    fn backward_by_hand() {
        let y = [0.0, 0.5];
        assert_eq!(backward(Activation::Relu, &y, &[3.0, 3.0]), [0.0, 3.0]);
        assert_eq!(backward(Activation::Sigmoid, &y, &[4.0, 4.0]), [0.0, 1.0]);
        assert_eq!(backward(Activation::Tanh, &y, &[4.0, 4.0]), [4.0, 3.0]);
    }

    #[test]
    fn nan_is_never_hidden() {
        for f in [
            Activation::Linear,
            Activation::Relu,
            Activation::Sigmoid,
            Activation::Tanh,
        ] {
            assert!(forward(f, &[f32::NAN])[0].is_nan(), "{f:?}");
        }
    }
}
