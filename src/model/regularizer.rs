//! Penalties on parameters.

use serde::{Deserialize, Serialize};

use crate::words::short;

/// A penalty on a parameter. It adds `l1 * Σ |w| + l2 * Σ w²` to the loss, and thus
/// `l1 * sign(w) + 2 * l2 * w` to the gradient. As in Keras, the loss that training and evaluation
/// report includes the penalties.
///
/// In a model file: `kernel_regularizer = { l2 = 0.001 }`.
///
/// ```
/// use cnn_gpu::model::{Dense, Regularizer};
/// let layer = Dense::new(64).kernel_regularizer(Regularizer::l2(0.001));
/// assert_eq!(layer.kernel_regularizer, Regularizer::l1_l2(0.0, 0.001));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Regularizer {
    /// Factor of the absolute values. Default 0.
    #[serde(default)]
    pub l1: f64,
    /// Factor of the squares. Default 0.
    #[serde(default)]
    pub l2: f64,
}

impl Regularizer {
    /// A penalty on absolute values.
    pub fn l1(l1: f64) -> Self {
        Self { l1, l2: 0.0 }
    }

    /// A penalty on squares.
    pub fn l2(l2: f64) -> Self {
        Self { l1: 0.0, l2 }
    }

    /// A penalty on both.
    pub fn l1_l2(l1: f64, l2: f64) -> Self {
        Self { l1, l2 }
    }

    /// Whether there is no penalty.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The penalty for these values of a parameter.
    pub fn penalty(&self, values: impl Iterator<Item = f64>) -> f64 {
        values.map(|w| self.l1 * w.abs() + self.l2 * w * w).sum()
    }

    /// What the penalty adds to the gradient of one value.
    pub fn gradient(&self, w: f64) -> f64 {
        // `signum` of zero is one.
        let sign = if w == 0.0 { 0.0 } else { w.signum() };
        self.l1 * sign + 2.0 * self.l2 * w
    }

    /// Checks the factors.
    ///
    /// # Errors
    /// A factor is negative or not finite.
    pub fn check(&self) -> Result<(), String> {
        let valid = |x: f64| x >= 0.0 && x.is_finite();
        if valid(self.l1) && valid(self.l2) {
            Ok(())
        } else {
            Err(format!(
                "regularizer with l1 = {} and l2 = {}: expected finite numbers of at least 0",
                short(self.l1),
                short(self.l2)
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalty_and_gradient_by_hand() {
        let both = Regularizer { l1: 0.5, l2: 0.25 };
        assert_eq!(both.penalty([2.0, -4.0, 0.0].into_iter()), 3.0 + 5.0);
        let gradients = [2.0, -4.0, 0.0].map(|w| both.gradient(w));
        assert_eq!(gradients, [1.5, -2.5, 0.0]);
        assert!(both.gradient(f64::NAN).is_nan());
        assert!(Regularizer::l1(-1.0).check().is_err());
        assert!(Regularizer::l2(f64::NAN).check().is_err());
    }
}
