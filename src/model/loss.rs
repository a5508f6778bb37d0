//! Loss functions.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::words::short;

/// A loss function, by Keras's name. The reported loss is the mean over the samples.
///
/// Labels are class indices. The target of class `i` of `n` is 1 if `i` is the label and 0
/// otherwise; label smoothing `s` spreads this fraction evenly over all classes:
/// `(1 - s) * target + s / n`.
///
/// | loss | for one sample with outputs `y` and targets `t` | last layer |
/// |---|---|---|
/// | [`Self::CategoricalCrossentropy`] | `-Σ_i t_i ln y_i` | softmax |
/// | [`Self::BinaryCrossentropy`] | `-1/n Σ_i (t_i ln y_i + (1 - t_i) ln (1 - y_i))` | sigmoid |
/// | [`Self::MeanSquaredError`] | `1/n Σ_i (y_i - t_i)²` | any |
///
/// ```
/// use cnn_gpu::model::{Activation, Dense, Flatten, Loss, Sequential};
/// let model = Sequential::new([28, 28, 1])
///     .add(Flatten::new())
///     .add(Dense::new(10).activation(Activation::Softmax))
///     .loss(Loss::CategoricalCrossentropy { label_smoothing: 0.1 });
/// assert_eq!(Sequential::from_toml(&model.to_toml())?.loss, model.loss);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "LossSettings", into = "LossSettings")]
#[non_exhaustive]
pub enum Loss {
    /// Each sample has exactly one class. Without smoothing this is Keras's
    /// `sparse_categorical_crossentropy`, which takes labels as class indices, as this crate always
    /// does. With smoothing it is Keras's `categorical_crossentropy` on one-hot labels; the sparse
    /// loss has no smoothing there.
    CategoricalCrossentropy {
        /// The fraction of the target spread evenly over all classes, in `[0, 1)`. Default 0.
        label_smoothing: f64,
    },
    /// Each output is a separate yes-or-no decision. A single output is the probability of class 1,
    /// with the label itself as its target. Smoothing gives `(1 - s) * target + s / 2` for any
    /// number of outputs.
    BinaryCrossentropy {
        /// The fraction of the target replaced by one half, in `[0, 1)`. Default 0.
        label_smoothing: f64,
    },
    /// The squared distance from the targets; needs at least two outputs.
    MeanSquaredError,
}

/// A loss as it is written in a model file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LossSettings {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label_smoothing: Option<f64>,
}

impl From<Loss> for LossSettings {
    fn from(loss: Loss) -> Self {
        Self {
            name: loss.name().into(),
            label_smoothing: Some(loss.label_smoothing()).filter(|s| *s != 0.0),
        }
    }
}

impl TryFrom<LossSettings> for Loss {
    type Error = Error;

    fn try_from(settings: LossSettings) -> Result<Self> {
        let loss = Self::by_name(&settings.name)?;
        match settings.label_smoothing {
            Some(share) => loss.with_label_smoothing(share),
            None => Ok(loss),
        }
    }
}

impl Default for Loss {
    fn default() -> Self {
        Self::categorical_crossentropy()
    }
}

/// Keras's bound of the probabilities in a logarithm.
const EPSILON: f64 = 1e-7;

impl Loss {
    /// Whether a network that was trained with this loss predicts probabilities. The outputs of one trained with the
    /// mean squared error can be any numbers.
    #[must_use]
    pub fn gives_probabilities(self) -> bool {
        self != Self::MeanSquaredError
    }

    /// The names that [`Loss::by_name`] accepts.
    pub const NAMES: &'static [&'static str] = &[
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        "binary_crossentropy",
        "mean_squared_error",
    ];

    /// Categorical cross-entropy without smoothing.
    pub fn categorical_crossentropy() -> Self {
        Self::CategoricalCrossentropy {
            label_smoothing: 0.0,
        }
    }

    /// Binary cross-entropy without smoothing.
    pub fn binary_crossentropy() -> Self {
        Self::BinaryCrossentropy {
            label_smoothing: 0.0,
        }
    }

    /// A loss without smoothing.
    ///
    /// # Errors
    /// The name is not in [`Loss::NAMES`].
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "categorical_crossentropy" | "sparse_categorical_crossentropy" => {
                Ok(Self::categorical_crossentropy())
            }
            "binary_crossentropy" => Ok(Self::binary_crossentropy()),
            "mean_squared_error" => Ok(Self::MeanSquaredError),
            _ => Err(Error::Argument(format!(
                "no loss `{name}`: expected one of {}",
                Self::NAMES.join(", ")
            ))),
        }
    }

    /// The Keras name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CategoricalCrossentropy { .. } => "categorical_crossentropy",
            Self::BinaryCrossentropy { .. } => "binary_crossentropy",
            Self::MeanSquaredError => "mean_squared_error",
        }
    }

    /// The fraction of a target spread evenly over all classes.
    pub fn label_smoothing(&self) -> f64 {
        match *self {
            Self::CategoricalCrossentropy { label_smoothing }
            | Self::BinaryCrossentropy { label_smoothing } => label_smoothing,
            Self::MeanSquaredError => 0.0,
        }
    }

    /// The same loss with smoothed labels.
    ///
    /// # Errors
    /// The value is outside `[0, 1)`, or the loss is the mean squared error, which has no
    /// smoothing.
    pub fn with_label_smoothing(self, label_smoothing: f64) -> Result<Self> {
        check_smoothing(label_smoothing).map_err(Error::Argument)?;
        match self {
            Self::CategoricalCrossentropy { .. } => {
                Ok(Self::CategoricalCrossentropy { label_smoothing })
            }
            Self::BinaryCrossentropy { .. } => Ok(Self::BinaryCrossentropy { label_smoothing }),
            Self::MeanSquaredError => Err(Error::Argument(
                "mean_squared_error has no label smoothing; remove it or choose a cross-entropy"
                    .into(),
            )),
        }
    }

    /// The targets of `width` outputs as `[off, on]`: the label's output has the target `off + on`,
    /// every other output `off`.
    pub fn targets(&self, width: usize) -> [f64; 2] {
        let smoothing = self.label_smoothing();
        let shares = match self {
            Self::BinaryCrossentropy { .. } => 2,
            _ => width,
        };
        [smoothing / shares as f64, 1.0 - smoothing]
    }

    /// The loss of one sample with these predictions of `width` outputs, which a single sigmoid gives
    /// for two classes. Logarithms take probabilities from 1e-7 to 1 - 1e-7, as in Keras.
    pub(crate) fn of_predictions(self, predictions: &[f32], label: usize, width: usize) -> f64 {
        let [off, on] = self.targets(width);
        // A single output stands for class 1.
        let first = predictions.len() - width;
        let outputs = predictions.iter().enumerate().skip(first);
        let pairs = outputs.map(|(class, &p)| {
            let hit = f64::from(u8::from(class == label));
            (f64::from(p), off + on * hit)
        });
        let ln = |p: f64| p.clamp(EPSILON, 1.0 - EPSILON).ln();
        let n = width as f64;
        match self {
            Self::CategoricalCrossentropy { .. } => pairs.map(|(p, t)| -t * ln(p)).sum(),
            Self::BinaryCrossentropy { .. } => {
                let terms = pairs.map(|(p, t)| -t * ln(p) - (1.0 - t) * ln(1.0 - p));
                terms.sum::<f64>() / n
            }
            Self::MeanSquaredError => pairs.map(|(p, t)| (p - t) * (p - t)).sum::<f64>() / n,
        }
    }

    /// The number of classes that `width` outputs distinguish.
    pub fn classes(&self, width: usize) -> usize {
        match (self, width) {
            (Self::BinaryCrossentropy { .. }, 1) => 2,
            _ => width,
        }
    }

    /// Checks the arguments.
    pub(super) fn check(&self) -> Result<(), String> {
        check_smoothing(self.label_smoothing())
    }
}

fn check_smoothing(share: f64) -> Result<(), String> {
    if (0.0..1.0).contains(&share) {
        Ok(())
    } else {
        Err(format!(
            "label smoothing {} must lie in [0, 1)",
            short(share)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothed_targets_are_keras_targets() {
        let smooth = |loss: Loss| loss.with_label_smoothing(0.2).unwrap();
        let categorical = smooth(Loss::categorical_crossentropy());
        assert_eq!(categorical.targets(10), [0.02, 0.8]);
        // y * (1 - s) + s / 2, however many outputs there are.
        let binary = smooth(Loss::binary_crossentropy());
        assert_eq!([binary.targets(1), binary.targets(10)], [[0.1, 0.8]; 2]);
        assert_eq!(Loss::MeanSquaredError.targets(3), [0.0, 1.0]);
        assert!(Loss::MeanSquaredError.with_label_smoothing(0.1).is_err());
    }

    #[test]
    fn predictions_have_a_loss_by_hand() {
        let categorical = Loss::categorical_crossentropy();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found}");
        close(
            categorical.of_predictions(&[0.25, 0.75], 1, 2),
            -0.75f64.ln(),
        );
        close(categorical.of_predictions(&[0.0, 1.0], 0, 2), -EPSILON.ln());
        let smooth = categorical.with_label_smoothing(0.5).unwrap();
        let expected = -0.25 * 0.25f64.ln() - 0.75 * 0.75f64.ln();
        close(smooth.of_predictions(&[0.25, 0.75], 1, 2), expected);
        let binary = Loss::binary_crossentropy();
        close(binary.of_predictions(&[0.25, 0.75], 0, 1), -0.25f64.ln());
        let expected = -(0.5f64.ln() + 0.75f64.ln()) / 2.0;
        close(binary.of_predictions(&[0.25, 0.5], 1, 2), expected);
        close(
            Loss::MeanSquaredError.of_predictions(&[0.5, 2.0], 1, 2),
            0.625,
        );
        assert!(binary.of_predictions(&[f32::NAN; 2], 0, 2).is_nan());
    }

    #[test]
    fn every_name_is_known() {
        for name in Loss::NAMES {
            let loss = Loss::by_name(name).unwrap();
            assert!(name.ends_with(loss.name()), "{name}");
        }
        let message = Loss::by_name("hinge").unwrap_err().to_string();
        assert!(message.contains("binary_crossentropy"), "{message}");
    }

    #[test]
    fn a_model_file_says_nothing_that_is_not_understood() {
        let read = |text: &str| toml::from_str::<Loss>(text);
        let loss = Loss::BinaryCrossentropy {
            label_smoothing: 0.1,
        };
        assert_eq!(read(&toml::to_string(&loss).unwrap()).unwrap(), loss);
        for wrong in [
            "name = \"mean_squared_error\"\nlabel_smoothing = 0.1",
            "name = \"mean_squared_error\"\nsmoothing = 0.1",
            "name = \"hinge\"",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
