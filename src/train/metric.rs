//! The metrics of an epoch by name, for callbacks that watch one.

use serde::{Deserialize, Serialize};

use super::EpochLogs;

/// A metric of an epoch, with Keras's name for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Metric {
    /// Running mean of the training loss.
    Loss,
    /// Running mean of the training accuracy.
    Accuracy,
    /// Loss on the validation images.
    #[default]
    ValLoss,
    /// Accuracy on the validation images.
    ValAccuracy,
}

/// Which of two values of a metric is better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The smaller of two losses, the larger of two accuracies.
    #[default]
    Auto,
    /// The smaller.
    Min,
    /// The larger.
    Max,
}

impl Metric {
    /// `loss`, `accuracy`, `val_loss` or `val_accuracy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
        }
    }

    /// Its value in an epoch, if it was measured.
    pub fn of(self, logs: &EpochLogs) -> Option<f64> {
        match self {
            Self::Loss => Some(logs.loss),
            Self::Accuracy => Some(logs.accuracy),
            Self::ValLoss => logs.val_loss,
            Self::ValAccuracy => logs.val_accuracy,
        }
    }

    /// Whether it is measured on validation images.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy)
    }
}

impl Mode {
    /// Whether `value` is better than `than` by more than `min_delta`. A number is better than
    /// nothing; NaN and infinity never are.
    pub fn improves(self, metric: Metric, value: f64, than: Option<f64>, min_delta: f64) -> bool {
        let smaller = match (self, metric) {
            (Self::Min, _) | (Self::Auto, Metric::Loss | Metric::ValLoss) => true,
            (Self::Max, _) | (Self::Auto, Metric::Accuracy | Metric::ValAccuracy) => false,
        };
        value.is_finite()
            && than.is_none_or(|than| match smaller {
                true => value + min_delta.abs() < than,
                false => value - min_delta.abs() > than,
            })
    }
}
