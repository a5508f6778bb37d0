//! Callbacks are told what happened and answer whether to go on; they do not reach into the
//! trainer.
//!
//! One per file. A progress bar is the command line's own.

mod csv_logger;
mod jsonl_logger;
mod weights_saver;

use std::ops::ControlFlow;

pub use csv_logger::CsvLogger;
pub use jsonl_logger::JsonlLogger;
pub use weights_saver::WeightsSaver;

use super::{EpochLogs, History, Progress};
use crate::error::Result;
use crate::state::State;

/// A callback's answer: go on, stop, or what went wrong (which stops as well).
pub type Verdict = Result<ControlFlow<()>>;

/// Go on.
pub const CONTINUE: Verdict = Ok(ControlFlow::Continue(()));

/// Stop after this step or epoch.
pub const STOP: Verdict = Ok(ControlFlow::Break(()));

/// Somebody who wants to know how a training run goes. Every method has an empty default.
///
/// ```
/// use cnn_gpu::state::State;
/// use cnn_gpu::train::callbacks::{CONTINUE, Callback, STOP, Verdict};
/// use cnn_gpu::train::EpochLogs;
///
/// /// Stops as soon as the training accuracy is good enough.
/// struct GoodEnough(f64);
///
/// impl Callback for GoodEnough {
///     fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
///         if logs.accuracy >= self.0 { STOP } else { CONTINUE }
///     }
/// }
/// ```
pub trait Callback {
    /// Training begins.
    ///
    /// # Errors
    /// What the callback could not do; training does not begin.
    fn on_train_begin(&mut self) -> Result<()> {
        Ok(())
    }

    /// An epoch begins. `progress` holds the numbers of epochs and steps.
    ///
    /// # Errors
    /// What the callback could not do.
    fn on_epoch_begin(&mut self, _progress: &Progress) -> Verdict {
        CONTINUE
    }

    /// Some batches have finished since the last call: one on slow devices, many on fast ones.
    ///
    /// # Errors
    /// What the callback could not do.
    fn on_batch_end(&mut self, _progress: &Progress) -> Verdict {
        CONTINUE
    }

    /// An epoch has ended, and `state` is what it led to.
    ///
    /// # Errors
    /// What the callback could not do.
    fn on_epoch_end(&mut self, _logs: &EpochLogs, _state: &State) -> Verdict {
        CONTINUE
    }

    /// Training has ended, and `state` is what it led to. Not called after an error.
    ///
    /// # Errors
    /// What the callback could not do.
    fn on_train_end(&mut self, _history: &History, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Several callbacks as one: all are asked, and one that wants to stop is enough.
pub(super) struct All<'a, 'b>(pub &'a mut [&'b mut dyn Callback]);

impl All<'_, '_> {
    fn ask(&mut self, mut question: impl FnMut(&mut dyn Callback) -> Verdict) -> Verdict {
        let mut answer = ControlFlow::Continue(());
        for callback in self.0.iter_mut() {
            if question(*callback)?.is_break() {
                answer = ControlFlow::Break(());
            }
        }
        Ok(answer)
    }
}

impl Callback for All<'_, '_> {
    fn on_train_begin(&mut self) -> Result<()> {
        self.0.iter_mut().try_for_each(|c| c.on_train_begin())
    }

    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        self.ask(|c| c.on_epoch_begin(progress))
    }

    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        self.ask(|c| c.on_batch_end(progress))
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        self.ask(|c| c.on_epoch_end(logs, state))
    }

    fn on_train_end(&mut self, history: &History, state: &State) -> Result<()> {
        (self.0.iter_mut()).try_for_each(|c| c.on_train_end(history, state))
    }
}
