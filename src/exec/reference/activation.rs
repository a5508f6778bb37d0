//! Pointwise activations, forward and backward.

use super::{Definition, put_gradient, rounded};
use crate::exec::host::Memory;
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward};

impl Definition for ActivationForward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self { activation, x, y } = self;
        let out = forward(*activation, m.floats(*x));
        m.put(*y, out);
    }
}

impl Definition for ActivationBackward {
    fn run(&self, m: &mut Memory<'_>) {
        let Self { through, dy, dx } = self;
        let out = m.floats(*dy).iter().map(|&d| f64::from(d)).collect();
        put_gradient(m, *dx, out, Some(through));
    }
}

/// `y = f(x)`.
pub(super) fn forward(f: Activation, x: &[f32]) -> Vec<f32> {
    rounded(x.iter().map(|&x| f.apply(f64::from(x))).collect())
}

#[cfg(test)]
mod tests {
    use super::super::through_activation;
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
        assert_eq!(
            through_activation(Activation::Relu, &y, &[3.0, 3.0]),
            [0.0, 3.0]
        );
        assert_eq!(
            through_activation(Activation::Sigmoid, &y, &[4.0, 4.0]),
            [0.0, 1.0]
        );
        assert_eq!(
            through_activation(Activation::Tanh, &y, &[4.0, 4.0]),
            [4.0, 3.0]
        );
    }

    #[test]
    fn nan_is_never_hidden() {
        for f in [&[Activation::Linear], &Activation::POINTWISE[..]].concat() {
            assert!(forward(f, &[f32::NAN])[0].is_nan(), "{f:?}");
        }
    }

    #[test]
    fn activations_are_those_of_keras() {
        // keras.activations, 3.15, in float64, at -1.5 and 0.75.
        let expected = [
            (Activation::LeakyRelu, [-0.3, 0.75]),
            (Activation::Elu, [-0.776_869_84, 0.75]),
            (Activation::Selu, [-1.365_814_35, 0.788_025_74]),
            (Activation::Gelu, [-0.100_210_81, 0.580_029_48]),
            (Activation::Silu, [-0.273_638_29, 0.509_384_02]),
            (Activation::Softplus, [0.201_413_28, 1.136_871_05]),
        ];
        for (f, y) in expected {
            let found = forward(f, &[-1.5, 0.75]);
            for (found, y) in found.into_iter().zip(y) {
                assert!((f64::from(found) - y).abs() < 2e-7, "{f:?}: {found} {y}");
            }
        }
    }
}
