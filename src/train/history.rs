//! What a training run reports: at its beginning, while it runs, after each epoch, and at its end.

use serde::{Deserialize, Serialize};

use super::Metric;

/// A training run that is about to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Training {
    /// Epochs that count as done.
    pub initial_epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Whether there are images to validate on.
    pub validation: bool,
}

/// Where a training run is: which step of which epoch comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Steps of this epoch before this one.
    pub step: usize,
    /// Steps of an epoch.
    pub steps: usize,
    /// Whether the step before it was taken just before, and not in another epoch or process.
    pub follows: bool,
}

impl Position {
    /// Steps before this one, from the first epoch on.
    pub fn steps_before(&self) -> usize {
        (self.epoch - 1).saturating_mul(self.steps) + self.step
    }

    /// Steps from the first epoch to the last.
    pub fn all_steps(&self) -> usize {
        self.epochs.saturating_mul(self.steps)
    }
}

/// One finished epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EpochLogs {
    /// Counted from 1.
    pub epoch: usize,
    /// Running mean of the training loss over the epoch, while the weights changed.
    pub loss: f64,
    /// Running mean of the training accuracy over the epoch, while the weights changed.
    pub accuracy: f64,
    /// Loss on the validation images with the weights at the epoch's end, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// Accuracy on the validation images, as `val_loss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub val_accuracy: Option<f64>,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f32,
    /// From the epoch's beginning to the end of its last step, without validation.
    pub seconds: f64,
    /// Training images per second.
    pub images_per_second: f64,
}

/// How far an epoch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Counted from 1.
    pub epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Finished steps of this epoch.
    pub step: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Images of this epoch that have been trained on.
    pub images: u64,
    /// Running mean of the loss.
    pub loss: f64,
    /// Running mean of the accuracy.
    pub accuracy: f64,
    /// Since the epoch's beginning.
    pub seconds: f64,
}

/// Why a training run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// After its last epoch.
    #[default]
    Finished,
    /// A callback asked for it.
    Stopped,
    /// The [`Interrupt`](super::Interrupt) was raised. The steps taken count; an epoch that was
    /// not finished has no logs.
    Interrupted,
    /// An error. The weights are those of the last whole epoch.
    Failed,
}

/// A training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The finished epochs.
    pub epochs: Vec<EpochLogs>,
    /// Why it ended.
    pub ending: Ending,
    /// Why a callback stopped it, if it gave a reason.
    pub reason: Option<String>,
    /// The epoch whose weights were put back at the end, if a callback asked for it.
    pub restored_epoch: Option<usize>,
}

impl History {
    /// A metric epoch by epoch, without those in which it was not measured.
    ///
    /// ```
    /// use cnn_gpu::train::{EpochLogs, History, Metric};
    /// let first = EpochLogs { loss: 0.5, ..EpochLogs::default() };
    /// let second = EpochLogs { loss: 0.25, val_loss: Some(0.75), ..EpochLogs::default() };
    /// let history = History { epochs: vec![first, second], ..History::default() };
    /// assert_eq!(history.metric(Metric::Loss), [0.5, 0.25]);
    /// assert_eq!(history.metric(Metric::ValLoss), [0.75]);
    /// ```
    pub fn metric(&self, metric: Metric) -> Vec<f64> {
        (self.epochs.iter())
            .filter_map(|logs| metric.of(logs))
            .collect()
    }

    /// Training images per second over all finished epochs; 0 without one.
    pub fn images_per_second(&self) -> f64 {
        let images: f64 = (self.epochs.iter())
            .map(|e| e.images_per_second * e.seconds)
            .sum();
        let seconds: f64 = self.epochs.iter().map(|e| e.seconds).sum();
        if seconds > 0.0 { images / seconds } else { 0.0 }
    }

    /// The seconds that each finished epoch took.
    pub fn epoch_seconds(&self) -> Vec<f64> {
        self.epochs.iter().map(|e| e.seconds).collect()
    }
}
