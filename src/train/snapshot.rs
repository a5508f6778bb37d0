//! A training run at one step: everything needed to continue as if it had never stopped.

use serde::{Deserialize, Serialize};

use super::callbacks::CallbackState;
use super::{Ending, EpochLogs, History, Mean, Position};
use crate::error::Result;
use crate::state::State;

/// A training run after a number of steps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Weights, moments and step count.
    pub state: State,
    /// Completed epochs.
    pub epochs_done: usize,
    /// The unfinished epoch after them, if it has started.
    pub partial_epoch: Option<PartialEpoch>,
    /// The last epoch's number.
    pub last_epoch: usize,
    /// Whether a callback has stopped the run.
    pub stopped: bool,
    /// The epochs so far.
    pub history: Vec<EpochLogs>,
    /// The state of the callbacks, by name.
    pub callback_states: Vec<(String, CallbackState)>,
}

impl Snapshot {
    /// The run so far.
    pub(super) fn past(&self) -> History {
        History {
            epochs: self.history.clone(),
            ending: if self.stopped {
                Ending::Stopped
            } else {
                Ending::Finished
            },
            ..History::default()
        }
    }
}

/// A partly completed epoch. The seed and the epoch's number determine the order of the samples, so
/// the number of steps determines the position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartialEpoch {
    /// Completed steps.
    pub steps: usize,
    /// Their mean loss and accuracy.
    pub mean: Mean,
    /// Their duration in seconds.
    pub seconds: f64,
}

/// Stores snapshots: see [`Trainer::set_keeper`](super::Trainer::set_keeper).
pub trait Keeper: Send {
    /// Whether to take a snapshot now, before the step at `position`. Called after every step; a
    /// snapshot stalls the device.
    fn is_due(&mut self, position: &Position) -> bool;

    /// Stores a snapshot: one that was due, one after a complete epoch, or one after an interrupt.
    ///
    /// # Errors
    /// The snapshot could not be stored. Training stops.
    fn keep(&mut self, snapshot: &Snapshot) -> Result<()>;
}
