//! What a training run reports after each epoch.

use serde::{Deserialize, Serialize};

/// A completed epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochLogs {
    /// Counted from 1.
    pub epoch: usize,
    /// Running mean of the training loss over the epoch, with the changing weights.
    pub loss: f64,
    /// Running mean of the training accuracy over the epoch, with the changing weights.
    pub accuracy: f64,
    /// Validation loss with the weights at the end of the epoch, if measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Validation accuracy, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// Duration from the start of the epoch to the end of its last step, without validation.
    pub seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
}
