//! What a training run reports at its start, during each epoch and at its end.

use serde::Serialize;

use super::{EpochLogs, Metric};

/// A training run about to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Training {
    /// Number of epochs that count as completed.
    pub initial_epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Steps per epoch.
    pub steps: usize,
    /// Whether there are validation images.
    pub validation: bool,
}

/// The position of a training run: the epoch and step that come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// Counted from 1.
    pub epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Steps of this epoch before this one.
    pub step: usize,
    /// Steps per epoch.
    pub steps: usize,
    /// Whether the previous step belongs to the same epoch and process.
    pub follows: bool,
}

impl Position {
    /// Steps before this one since the first epoch.
    pub fn steps_before(&self) -> usize {
        (self.epoch - 1).saturating_mul(self.steps) + self.step
    }

    /// Steps from the first epoch to the last one.
    pub fn all_steps(&self) -> usize {
        self.epochs.saturating_mul(self.steps)
    }
}

/// The progress of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Counted from 1.
    pub epoch: usize,
    /// The last epoch's number.
    pub epochs: usize,
    /// Completed steps of this epoch.
    pub step: usize,
    /// Steps of this epoch.
    pub steps: usize,
    /// Images processed in this epoch.
    pub images: u64,
    /// Running mean of the loss.
    pub loss: f64,
    /// Running mean of the accuracy.
    pub accuracy: f64,
    /// Time since the start of the epoch.
    pub seconds: f64,
}

/// Why a training run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Ending {
    /// After its last epoch.
    #[default]
    Finished,
    /// A callback stopped it.
    Stopped,
    /// The [`Interrupt`](super::Interrupt) was raised. The steps taken so far count; an unfinished
    /// epoch has no logs.
    Interrupted,
    /// An error. The weights are those of the last complete epoch.
    Failed,
}

/// A training run.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct History {
    /// The completed epochs.
    pub epochs: Vec<EpochLogs>,
    /// Why it ended.
    pub ending: Ending,
    /// The stopping callback's reason, if it gave one.
    pub reason: Option<String>,
    /// The epoch whose weights a callback restored at the end, if any.
    pub restored_epoch: Option<usize>,
}

impl History {
    /// The values of a metric, epoch by epoch, skipping epochs in which it was not measured.
    ///
    /// ```
    /// use cnn_gpu::train::{EpochLogs, History, Metric};
    /// let (mut first, mut second) = (EpochLogs::default(), EpochLogs::default());
    /// (first.loss, second.loss) = (0.5, 0.25);
    /// second.val_loss = Some(0.75);
    /// let mut history = History::default();
    /// history.epochs = vec![first, second];
    /// assert_eq!(history.metric(Metric::Loss), [0.5, 0.25]);
    /// assert_eq!(history.metric(Metric::ValLoss), [0.75]);
    /// ```
    pub fn metric(&self, metric: Metric) -> Vec<f64> {
        (self.epochs.iter())
            .filter_map(|logs| metric.of(logs))
            .collect()
    }

    /// Training images per second over all completed epochs; 0 if there are none.
    pub fn images_per_second(&self) -> f64 {
        let images: f64 = (self.epochs.iter())
            .map(|e| e.images_per_second * e.seconds)
            .sum();
        let seconds: f64 = self.epochs.iter().map(|e| e.seconds).sum();
        if seconds > 0.0 { images / seconds } else { 0.0 }
    }

    /// The duration of each completed epoch in seconds.
    pub fn epoch_seconds(&self) -> Vec<f64> {
        self.epochs.iter().map(|e| e.seconds).collect()
    }
}
