//! Optimizers, with Keras's names, defaults and exact epsilon placement.

mod settings;

use strum::VariantNames;

use crate::error::{Error, Result};
use crate::words::short;

/// How a step updates the weights `w`, given their gradient `g`, with the settings of Keras's
/// optimizers.
///
/// A step clips the gradients, decays the weights, applies the rule and updates the average:
///
/// 1. [`Clip`]: by value or by norm. Default: no clipping.
/// 2. `w -= lr * weight_decay * w`. Default 0. Applies to biases too, as in Keras.
/// 3. The formula of the [`UpdateRule`].
/// 4. `average = k * average + (1 - k) * w` with `k = ema_momentum`, and `average = w` after the
///    first step. Training, validation and checkpoints use `w`; at the end of `fit` the averages
///    replace the weights, unless a callback restores others. Default: no average.
/// 5. `w = average` after every step whose number is a multiple of `ema_overwrite_frequency`.
///    Default: never. This is Keras's; the Lookahead optimizer (Zhang et al., 2019) differs in that
///    its average follows only these steps, not each.
///
/// As in Keras, the moving statistics of batch normalization are not averaged: a network that ends
/// with averaged weights has the statistics of its last steps.
///
/// Layers may multiply the learning rate of the rule, but not that of the decay:
/// [`PlacedLayer::learning_rate_factor`](crate::model::PlacedLayer::learning_rate_factor).
///
/// Coefficients are f64, as Keras keeps them, so that `1 - beta_2` is 0.001 and not 0.000 999 99.
///
/// ```
/// use cnn_gpu::optimizer::{Clip, Optimizer};
/// let optimizer = Optimizer::adamw()
///     .clip(Clip::GlobalNorm(1.0))
///     .ema_momentum(0.99)
///     .ema_overwrite_frequency(100);
/// assert_eq!(optimizer.weight_decay, 0.004);
/// assert!(optimizer.check().is_ok());
/// assert!(optimizer.with_learning_rate(-1.0).check().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Optimizer {
    /// The formula.
    pub rule: UpdateRule,
    /// Gradient clipping.
    pub clip: Option<Clip>,
    /// Weight decay per step at a learning rate of 1.
    pub weight_decay: f64,
    /// Momentum of the weights' moving average, if one is kept.
    pub ema_momentum: Option<f64>,
    /// After how many steps the average replaces the weights, if it does during training.
    pub ema_overwrite_frequency: Option<u64>,
}

/// Gradient clipping. NaN stays NaN, and scaling by a non-finite norm gives non-finite gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Clip {
    /// Keras's `clipvalue`: each element of each gradient is clamped to `[-value, value]`.
    Value(f64),
    /// Keras's `clipnorm`: each parameter's gradient `g` becomes `g * norm / max(|g|, norm)`, with
    /// `|g| = sqrt(Σ g²)`.
    Norm(f64),
    /// Keras's `global_clipnorm`: like `Norm`, with the joint norm of all gradients.
    GlobalNorm(f64),
}

impl Clip {
    /// The Keras name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Value(_) => "clipvalue",
            Self::Norm(_) => "clipnorm",
            Self::GlobalNorm(_) => "global_clipnorm",
        }
    }

    /// Builds the clipping from Keras's three arguments, of which at most one may be given.
    ///
    /// # Errors
    /// More than one is given.
    pub fn given(
        clipnorm: Option<f64>,
        global_clipnorm: Option<f64>,
        clipvalue: Option<f64>,
    ) -> Result<Option<Self>, String> {
        let given = [
            clipnorm.map(Self::Norm),
            global_clipnorm.map(Self::GlobalNorm),
            clipvalue.map(Self::Value),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(first), Some(second)) => Err(format!(
                "gradients are clipped in one way: expected {} or {}, not both",
                first.name(),
                second.name()
            )),
            (clip, _) => Ok(clip),
        }
    }

    /// The bound.
    pub fn bound(&self) -> f64 {
        match *self {
            Self::Value(bound) | Self::Norm(bound) | Self::GlobalNorm(bound) => bound,
        }
    }
}

/// The update formula of a step, with moments `m` and `v` that start at zero.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum UpdateRule {
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
    /// `w -= u`, or with momentum `m = momentum * m + u`, `w -= m`. Epsilon is inside the root.
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
    /// `rate = lr * sqrt(1 - beta_2^t) / (1 - beta_1^t)` at step `t`, counted from 1. With weight
    /// decay it is AdamW (Loshchilov and Hutter, 2019).
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

/// The kinds of optimizers, one per name; [`Optimizer`] holds the settings.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum OptimizerKind {
    Adam,
    /// Adam with weight decay.
    AdamW,
    RmsProp,
    Sgd,
}

/// The coefficients of one step: see [`Optimizer::rates`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// The step size of the rule. As in Keras, Adam's bias correction is folded in.
    pub rate: f32,
    /// The fraction by which the weights decay.
    pub decay: f32,
    /// The momentum of the average in this step.
    pub keep: f32,
    /// Whether the average then replaces the weights.
    pub overwrites: bool,
}

impl From<f32> for Rates {
    /// No decay and no average.
    fn from(rate: f32) -> Self {
        Self {
            rate,
            ..Self::default()
        }
    }
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::adam()
    }
}

impl From<UpdateRule> for Optimizer {
    /// The rule without clipping, decay or average.
    fn from(rule: UpdateRule) -> Self {
        Self {
            rule,
            clip: None,
            weight_decay: 0.0,
            ema_momentum: None,
            ema_overwrite_frequency: None,
        }
    }
}

impl Optimizer {
    /// The names that [`Optimizer::by_name`] accepts.
    pub const NAMES: &'static [&'static str] = OptimizerKind::VARIANTS;

    /// SGD with Keras's defaults.
    pub fn sgd() -> Self {
        Self::from(UpdateRule::Sgd {
            learning_rate: 0.01,
            momentum: 0.0,
            nesterov: false,
        })
    }

    /// RMSprop with Keras's defaults.
    pub fn rmsprop() -> Self {
        Self::from(UpdateRule::RmsProp {
            learning_rate: 0.001,
            rho: 0.9,
            momentum: 0.0,
            epsilon: 1e-7,
        })
    }

    /// Adam with Keras's defaults.
    pub fn adam() -> Self {
        Self::from(UpdateRule::Adam {
            learning_rate: 0.001,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        })
    }

    /// Adam with a weight decay of 0.004, like Keras's AdamW.
    pub fn adamw() -> Self {
        Self::adam().weight_decay(0.004)
    }

    /// An optimizer with its defaults.
    ///
    /// # Errors
    /// The name is not in [`Optimizer::NAMES`].
    pub fn by_name(name: &str) -> Result<Self> {
        let kind = name.parse().map_err(|_| {
            Error::Argument(format!(
                "no optimizer `{name}`: expected one of {}",
                Self::NAMES.join(", ")
            ))
        })?;
        Ok(match kind {
            OptimizerKind::Adam => Self::adam(),
            OptimizerKind::AdamW => Self::adamw(),
            OptimizerKind::RmsProp => Self::rmsprop(),
            OptimizerKind::Sgd => Self::sgd(),
        })
    }

    /// `sgd`, `rmsprop`, `adam`, or `adamw` for Adam with weight decay.
    pub fn name(&self) -> &'static str {
        self.kind().into()
    }

    pub(crate) fn kind(&self) -> OptimizerKind {
        match self.rule {
            UpdateRule::Sgd { .. } => OptimizerKind::Sgd,
            UpdateRule::RmsProp { .. } => OptimizerKind::RmsProp,
            UpdateRule::Adam { .. } if self.weight_decay != 0.0 => OptimizerKind::AdamW,
            UpdateRule::Adam { .. } => OptimizerKind::Adam,
        }
    }

    /// Sets the gradient clipping.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.clip = Some(clip);
        self
    }

    /// Sets the weight decay.
    pub fn weight_decay(mut self, share: f64) -> Self {
        self.weight_decay = share;
        self
    }

    /// Keeps a moving average of the weights with this momentum, which replaces the weights at the
    /// end of training: Keras's `use_ema`, whose default momentum is 0.99.
    pub fn ema_momentum(mut self, share: f64) -> Self {
        self.ema_momentum = Some(share);
        self
    }

    /// Lets the moving average replace the weights after every `steps` steps, and not only at the
    /// end of training: Keras's `ema_overwrite_frequency`. It needs an
    /// [`ema_momentum`](Optimizer::ema_momentum).
    pub fn ema_overwrite_frequency(mut self, steps: u64) -> Self {
        self.ema_overwrite_frequency = Some(steps);
        self
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f32 {
        match self.rule {
            UpdateRule::Sgd { learning_rate, .. }
            | UpdateRule::RmsProp { learning_rate, .. }
            | UpdateRule::Adam { learning_rate, .. } => learning_rate,
        }
    }

    /// This optimizer with another learning rate.
    pub fn with_learning_rate(mut self, rate: f32) -> Self {
        match &mut self.rule {
            UpdateRule::Sgd { learning_rate, .. }
            | UpdateRule::RmsProp { learning_rate, .. }
            | UpdateRule::Adam { learning_rate, .. } => *learning_rate = rate,
        }
        self
    }

    /// The coefficients of step `t`, counted from 1.
    pub fn rates(&self, t: u64) -> Rates {
        let decay = f64::from(self.learning_rate()) * self.weight_decay;
        let kept = self.ema_momentum.filter(|_| t > 1);
        let frequency = self.ema_overwrite_frequency;
        Rates {
            rate: self.rate(t),
            decay: decay as f32,
            keep: kept.unwrap_or(0.0) as f32,
            overwrites: frequency.is_some_and(|steps| t.is_multiple_of(steps)),
        }
    }

    fn rate(&self, t: u64) -> f32 {
        match self.rule {
            UpdateRule::Sgd { learning_rate, .. } | UpdateRule::RmsProp { learning_rate, .. } => {
                learning_rate
            }
            UpdateRule::Adam {
                learning_rate,
                beta_1,
                beta_2,
                ..
            } => {
                // Keras exponentiates beta after TensorFlow has rounded it to f32.
                let power = |beta: f64| f64::from(beta as f32).powf(t as f64);
                let correction = (1.0 - power(beta_2)).sqrt() / (1.0 - power(beta_1));
                (f64::from(learning_rate) * correction) as f32
            }
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A learning rate or clipping bound that is not positive and finite, a weight decay that is
    /// negative or not finite, another coefficient outside `[0, 1)`, or a frequency of overwriting
    /// of 0 or without an average.
    pub fn check(&self) -> Result<()> {
        // Devices compute in f32.
        let positive = |what: &str, value: f64| {
            if (value as f32).is_normal() && value > 0.0 {
                Ok(())
            } else {
                Err(Error::Argument(format!(
                    "{what} {} is not a positive number",
                    short(value)
                )))
            }
        };
        positive("learning rate", self.learning_rate().into())?;
        if let Some(clip) = self.clip {
            positive(clip.name(), clip.bound())?;
        }
        if !(0.0..=f64::from(f32::MAX)).contains(&self.weight_decay) {
            return Err(Error::Argument(format!(
                "weight decay {} is not a finite number of at least 0",
                short(self.weight_decay)
            )));
        }
        match (self.ema_overwrite_frequency, self.ema_momentum) {
            (Some(0), _) => {
                return Err(Error::Argument(
                    "ema_overwrite_frequency 0 is not a number of steps: expected at least 1"
                        .into(),
                ));
            }
            (Some(_), None) => {
                return Err(Error::Argument(
                    "ema_overwrite_frequency needs an average: expected ema_momentum too".into(),
                ));
            }
            _ => {}
        }
        let coefficients = self.coefficients();
        let average = self.ema_momentum.map(|k| ("ema_momentum", k));
        let wrong = (coefficients.into_iter().chain(average))
            .find(|(_, value)| !(0.0..1.0).contains(value));
        match wrong {
            Some((what, value)) => Err(Error::Argument(format!(
                "{}: {what} {} must lie in [0, 1)",
                self.name(),
                short(value)
            ))),
            None => Ok(()),
        }
    }

    /// The rule's coefficients other than the learning rate, by name.
    fn coefficients(&self) -> Vec<(&'static str, f64)> {
        match self.rule {
            UpdateRule::Sgd { momentum, .. } => vec![("momentum", momentum)],
            UpdateRule::RmsProp {
                rho,
                momentum,
                epsilon,
                ..
            } => vec![("rho", rho), ("momentum", momentum), ("epsilon", epsilon)],
            UpdateRule::Adam {
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
        let rate = Optimizer::adam().rates(1).rate;
        assert!((rate - 0.000_316_227_77).abs() < 1e-8, "{rate}");
        assert!((Optimizer::adam().rates(1_000_000).rate - 0.001).abs() < 1e-9);
    }

    #[test]
    fn every_name_is_that_of_its_optimizer() {
        assert_eq!(Optimizer::NAMES, ["adam", "adamw", "rmsprop", "sgd"]);
        for name in Optimizer::NAMES {
            assert_eq!(Optimizer::by_name(name).unwrap().name(), *name);
        }
        for name in ["", "Adam", "lion"] {
            let message = Optimizer::by_name(name).unwrap_err().to_string();
            assert!(message.ends_with("adam, adamw, rmsprop, sgd"), "{message}");
        }
    }

    #[test]
    fn weights_decay_by_the_learning_rate_and_the_first_average_is_the_weights() {
        let optimizer = Optimizer::adamw().ema_momentum(0.75);
        let [first, second] = [1, 2].map(|t| optimizer.rates(t));
        assert_eq!([first.decay, second.decay], [4e-6; 2]);
        assert_eq!([first.keep, second.keep], [0.0, 0.75]);
        let sgd = Optimizer::sgd().rates(2);
        assert_eq!((sgd.decay, sgd.keep), (0.0, 0.0));
        let overwriting = optimizer.ema_overwrite_frequency(3);
        let steps: Vec<u64> = (1..=7)
            .filter(|&t| overwriting.rates(t).overwrites)
            .collect();
        assert_eq!(steps, [3, 6]);
    }

    #[test]
    fn refuses_rates_that_cannot_train() {
        for rate in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Optimizer::adam().with_learning_rate(rate).check().is_err());
        }
        assert!(Optimizer::sgd().check().is_ok());
    }

    #[test]
    fn names_the_number_out_of_range() {
        let momentum = Optimizer::from(UpdateRule::Sgd {
            learning_rate: 0.01,
            momentum: 1.0,
            nesterov: false,
        });
        let message = |optimizer: Optimizer| optimizer.check().unwrap_err().to_string();
        assert_eq!(message(momentum), "sgd: momentum 1 must lie in [0, 1)");
        let adam = Optimizer::adam();
        assert_eq!(
            message(adam.clip(Clip::Norm(0.0))),
            "clipnorm 0 is not a positive number"
        );
        assert_eq!(
            message(adam.weight_decay(-1.0)),
            "weight decay -1 is not a finite number of at least 0"
        );
        assert!(message(adam.ema_overwrite_frequency(5)).contains("needs an average"));
        let never = adam.ema_momentum(0.9).ema_overwrite_frequency(0);
        assert!(message(never).contains("expected at least 1"));
        assert_eq!(
            message(adam.ema_momentum(1.0)),
            "adam: ema_momentum 1 must lie in [0, 1)"
        );
    }
}
