//! What a training run reports: while it runs, after each epoch, and at its end.

use serde::{Deserialize, Serialize};

/// One finished epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLogs {
    /// Counted from 1.
    pub epoch: usize,
    /// Running mean of the training loss over the epoch, while the weights changed.
    pub loss: f64,
    /// Running mean of the training accuracy over the epoch, while the weights changed.
    pub accuracy: f64,
    /// From the epoch's beginning to the end of its last step.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// After its last epoch.
    #[default]
    Finished,
    /// A callback asked for it.
    Stopped,
    /// The [`Interrupt`](super::Interrupt) was raised. The steps taken count; an epoch that was
    /// not finished has no logs.
    Interrupted,
}

/// A training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The finished epochs.
    pub epochs: Vec<EpochLogs>,
    /// Why it ended.
    pub ending: Ending,
}

impl History {
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
