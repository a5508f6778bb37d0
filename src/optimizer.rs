//! Optimizers, with Keras's names, defaults and exact epsilon placement.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How a step changes the weights `w`, given their gradient `g`. `m` and `v` start at zero.
///
/// Coefficients are f64, as Keras keeps them, so that `1 - beta_2` is 0.001 and not 0.000 999 99.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent. Without momentum `w -= lr * g`; with it
    /// `m = momentum * m - lr * g` and `w += m`, or `w += momentum * m - lr * g` with Nesterov's
    /// correction.
    Sgd {
        /// Default 0.01.
        learning_rate: f32,
        /// Default 0.
        momentum: f64,
        /// Default false.
        nesterov: bool,
    },
    /// RMSprop (Hinton, 2012): `v = rho * v + (1 - rho) * g²`, `u = lr * g / sqrt(v + epsilon)`;
    /// `w -= u`, or with momentum `m = momentum * m + u`, `w -= m`. Epsilon stands inside the root.
    RmsProp {
        /// Default 0.001.
        learning_rate: f32,
        /// Default 0.9.
        rho: f64,
        /// Default 0.
        momentum: f64,
        /// Default 1e-7.
        epsilon: f64,
    },
    /// Adam (Kingma and Ba, 2015): `m += (1 - beta_1) * (g - m)`, `v += (1 - beta_2) * (g² - v)`,
    /// `w -= rate * m / (sqrt(v) + epsilon)` with
    /// `rate = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step `t`, counted from 1.
    Adam {
        /// Default 0.001.
        learning_rate: f32,
        /// Default 0.9.
        beta_1: f64,
        /// Default 0.999.
        beta_2: f64,
        /// Default 1e-7.
        epsilon: f64,
    },
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam()
    }
}

impl Optimizer {
    /// The names that [`Optimizer::by_name`] knows.
    pub const NAMES: &'static [&'static str] = &["adam", "rmsprop", "sgd"];

    /// SGD with Keras's defaults.
    pub fn sgd() -> Self {
        Self::Sgd {
            learning_rate: 0.01,
            momentum: 0.0,
            nesterov: false,
        }
    }

    /// RMSprop with Keras's defaults.
    pub fn rmsprop() -> Self {
        Self::RmsProp {
            learning_rate: 0.001,
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
        }
    }

    /// Adam with Keras's defaults.
    pub fn adam() -> Self {
        Self::Adam {
            learning_rate: 0.001,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }

    /// An optimizer with its defaults.
    ///
    /// # Errors
    /// A name that is not in [`Optimizer::NAMES`].
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "sgd" => Ok(Self::sgd()),
            "rmsprop" => Ok(Self::rmsprop()),
            "adam" => Ok(Self::adam()),
            _ => Err(Error::Argument(format!(
                "no optimizer `{name}`: expected one of {}",
                Self::NAMES.join(", ")
            ))),
        }
    }

    /// `sgd`, `rmsprop` or `adam`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Sgd { .. } => "sgd",
            Self::RmsProp { .. } => "rmsprop",
            Self::Adam { .. } => "adam",
        }
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f32 {
        match self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => *learning_rate,
        }
    }

    /// The same optimizer with another learning rate.
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self {
            Self::Sgd { learning_rate, .. }
            | Self::RmsProp { learning_rate, .. }
            | Self::Adam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }

    /// The rate that the device multiplies with at step `t`, counted from 1: Adam's bias
    /// correction is folded in, as Keras does.
    pub fn rate(&self, t: u64) -> f32 {
        match *self {
            Self::Sgd { learning_rate, .. } | Self::RmsProp { learning_rate, .. } => learning_rate,
            Self::Adam {
                learning_rate,
                beta_1,
                beta_2,
                ..
            } => {
                // Keras raises the beta that TensorFlow keeps, an f32.
                let power = |beta: f64| f64::from(beta as f32).powf(t as f64);
                let correction = (1.0 - power(beta_2)).sqrt() / (1.0 - power(beta_1));
                (f64::from(learning_rate) * correction) as f32
            }
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// A learning rate that is not positive and finite, or a coefficient outside `[0, 1)`.
    pub fn check(&self) -> Result<()> {
        let rate = self.learning_rate();
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(Error::Argument(format!(
                "learning rate {rate} is not a positive number"
            )));
        }
        let coefficients = self.coefficients();
        let wrong = coefficients
            .iter()
            .find(|(_, value)| !(0.0..1.0).contains(value));
        match wrong {
            Some((what, value)) => Err(Error::Argument(format!(
                "{}: {what} {value} must lie in [0, 1)",
                self.name()
            ))),
            None => Ok(()),
        }
    }

    /// Everything but the learning rate, by name.
    fn coefficients(&self) -> Vec<(&'static str, f64)> {
        match *self {
            Self::Sgd { momentum, .. } => vec![("momentum", momentum)],
            Self::RmsProp {
                rho,
                momentum,
                epsilon,
                ..
            } => vec![("rho", rho), ("momentum", momentum), ("epsilon", epsilon)],
            Self::Adam {
                beta_1,
                beta_2,
                epsilon,
                ..
            } => vec![("beta_1", beta_1), ("beta_2", beta_2), ("epsilon", epsilon)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adam_folds_the_bias_correction_into_the_rate() {
        // Step 1: sqrt(1 - 0.999) / (1 - 0.9) = 0.3162...
        let rate = Optimizer::adam().rate(1);
        assert!((rate - 0.000_316_227_77).abs() < 1e-8, "{rate}");
        assert!((Optimizer::adam().rate(1_000_000) - 0.001).abs() < 1e-9);
    }

    #[test]
    fn refuses_rates_that_cannot_train() {
        for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Optimizer::adam().with_learning_rate(rate).check().is_err());
        }
        assert!(Optimizer::sgd().check().is_ok());
    }

    #[test]
    fn names_the_coefficient_out_of_range() {
        let wrong = Optimizer::Sgd {
            learning_rate: 0.01,
            momentum: 1.0,
            nesterov: false,
        };
        let message = wrong.check().unwrap_err().to_string();
        assert_eq!(message, "sgd: momentum 1 must lie in [0, 1)");
    }
}
