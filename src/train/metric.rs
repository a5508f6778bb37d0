//! The metrics of an epoch by name, for callbacks that monitor one.

use serde::{Deserialize, Serialize};

use super::EpochLogs;

/// A metric of an epoch, with its Keras name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Running mean of the training loss.
    Loss,
    /// Running mean of the training accuracy.
    Accuracy,
    /// Validation loss.
    #[default]
    ValLoss,
    /// Validation accuracy.
    ValAccuracy,
}

/// Whether smaller or larger values of a metric are better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mode {
    /// Smaller for losses, larger for accuracies.
    #[default]
    Auto,
    /// Smaller is better.
    Min,
    /// Larger is better.
    Max,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 4] = [Self::Loss, Self::Accuracy, Self::ValLoss, Self::ValAccuracy];

    /// `loss`, `accuracy`, `val_loss` or `val_accuracy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::ValLoss => "val_loss",
            Self::ValAccuracy => "val_accuracy",
        }
    }

    /// Its value in an epoch, if measured.
    pub fn of(self, logs: &EpochLogs) -> Option<f64> {
        match self {
            Self::Loss => Some(logs.loss),
            Self::Accuracy => Some(logs.accuracy),
            Self::ValLoss => logs.val_loss,
            Self::ValAccuracy => logs.val_accuracy,
        }
    }

    /// Whether it needs validation images.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValLoss | Self::ValAccuracy)
    }
}

impl Mode {
    /// Whether `value` is better than `than` by more than `min_delta`. Without an earlier value, as
    /// in Keras, any number is an improvement, and so is the worst infinity, which the first finite
    /// value then beats. NaN and the best infinity are never an improvement.
    pub fn improves(self, metric: Metric, value: f64, than: Option<f64>, min_delta: f64) -> bool {
        let smaller = match (self, metric) {
            (Self::Min, _) | (Self::Auto, Metric::Loss | Metric::ValLoss) => true,
            (Self::Max, _) | (Self::Auto, Metric::Accuracy | Metric::ValAccuracy) => false,
        };
        let worst = if smaller {
            f64::INFINITY
        } else {
            f64::NEG_INFINITY
        };
        match than {
            None => value.is_finite() || value == worst,
            Some(_) if !value.is_finite() => false,
            Some(than) if smaller => value + min_delta.abs() < than,
            Some(than) => value - min_delta.abs() > than,
        }
    }
}
