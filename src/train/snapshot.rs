//! A training run at one step: all that it takes to go on as if it had never stopped.

use serde::{Deserialize, Serialize};

use super::callbacks::Memory;
use super::{Ending, EpochLogs, History, Mean, Position};
use crate::error::Result;
use crate::state::State;

/// A training run after some steps.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Weights, moments and the number of steps.
    pub state: State,
    /// Whole epochs.
    pub epochs_done: usize,
    /// What has been done of the epoch after them, if it has begun.
    pub under_way: Option<UnderWay>,
    /// The last epoch's number.
    pub last_epoch: usize,
    /// Whether a callback has ended the run.
    pub stopped: bool,
    /// The epochs so far.
    pub history: Vec<EpochLogs>,
    /// What the callbacks remember, by name.
    pub memories: Vec<(String, Memory)>,
}

impl Snapshot {
    /// The run up to here.
    pub(super) fn past(&self) -> History {
        History {
            epochs: self.history.clone(),
            ending: match self.stopped {
                true => Ending::Stopped,
                false => Ending::Finished,
            },
            ..History::default()
        }
    }
}

/// An epoch of which some steps have been taken. The order of the samples follows from the seed and
/// the epoch's number, so the number of steps says where in it the run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnderWay {
    /// Steps taken.
    pub steps: usize,
    /// Loss and accuracy over them.
    pub mean: Mean,
    /// Seconds that they took.
    pub seconds: f64,
}

/// Somebody who keeps snapshots: see [`Trainer::set_keeper`](super::Trainer::set_keeper).
pub trait Keeper {
    /// Whether to take a snapshot now, after the step before `position`. It is asked after every
    /// step, and a snapshot makes the device wait.
    fn is_due(&mut self, position: &Position) -> bool;

    /// Keeps a snapshot: one that was due, that of a whole epoch, or the one that an interrupt left.
    ///
    /// # Errors
    /// It could not be kept. Training stops.
    fn keep(&mut self, snapshot: &Snapshot) -> Result<()>;
}
