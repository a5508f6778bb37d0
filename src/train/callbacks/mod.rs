//! Callbacks observe training and decide whether it continues; they have no access to the trainer.
//!
//! There is one per file, with Keras's name if Keras has it. In addition to calling the hooks, the
//! trainer asks callbacks for the [learning rate](Callback::learning_rate) of a step, the
//! [weights](Callback::final_weights) to end with, the [reason](Callback::reason) why they stopped
//! the run, and the [state](Callback::state) that a checkpoint keeps.

mod callback_state;
mod csv_logger;
mod early_stopping;
mod jsonl_logger;
mod learning_rate_scheduler;
mod model_checkpoint;
mod progbar_logger;
mod reduce_lr_on_plateau;
mod schedule;
mod tensorboard;
mod terminate_on_nan;
mod weights_saver;

use std::ops::ControlFlow;

pub use callback_state::{CallbackState, callback_states, restore};
pub use csv_logger::CsvLogger;
pub use early_stopping::EarlyStopping;
pub use jsonl_logger::JsonlLogger;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::ModelCheckpoint;
#[cfg(feature = "cli")]
pub use progbar_logger::beside_bar;
pub use progbar_logger::{ProgbarLogger, short_time};
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use schedule::Schedule;
pub use tensorboard::TensorBoard;
pub use terminate_on_nan::TerminateOnNaN;
pub use weights_saver::WeightsSaver;

use super::{EpochLogs, History, Metric, Position, Progress, Training};
use crate::error::{Error, Result};
use crate::state::State;

/// A callback's answer: continue, stop, or an error, which also stops training.
pub type Verdict = Result<ControlFlow<()>>;

/// Continue training.
pub const CONTINUE: Verdict = Ok(ControlFlow::Continue(()));

/// Stop after this step or epoch.
pub const STOP: Verdict = Ok(ControlFlow::Break(()));

/// Hooks that observe and control a training run. Each method has a default that does nothing.
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
pub trait Callback: Send {
    /// The name under which a checkpoint keeps the callback's state.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Called when training begins.
    ///
    /// # Errors
    /// The callback failed; training does not begin.
    fn on_train_begin(&mut self, _training: &Training) -> Result<()> {
        Ok(())
    }
    /// Returns the learning rate of the step at `position`. `rate` is the optimizer's, or the
    /// previous callback's result.
    ///
    /// # Errors
    /// The callback failed.
    fn learning_rate(&mut self, _position: &Position, rate: f32) -> Result<f32> {
        Ok(rate)
    }

    /// Called when an epoch begins. `progress` has the numbers of epochs and steps.
    ///
    /// # Errors
    /// The callback failed.
    fn on_epoch_begin(&mut self, _progress: &Progress) -> Verdict {
        CONTINUE
    }

    /// Called when batches have finished: one since the last call on slow devices, many on fast
    /// ones. [`STOP`] ends the epoch, which is then validated and recorded with the steps taken.
    ///
    /// # Errors
    /// The callback failed.
    fn on_batch_end(&mut self, _progress: &Progress) -> Verdict {
        CONTINUE
    }

    /// Whether [`Callback::on_batch_end`] is called after every single batch; training then waits for each of
    /// them. Asked after each step. Default false.
    fn watches_batches(&self) -> bool {
        false
    }

    /// Called when an epoch has ended. `state` is the state after it.
    ///
    /// # Errors
    /// The callback failed.
    fn on_epoch_end(&mut self, _logs: &EpochLogs, _state: &State) -> Verdict {
        CONTINUE
    }
    /// Whether an error that stopped training counts as a normal end: the error is then not
    /// returned, and the run ends with the weights of its last complete epoch.
    fn ends_quietly(&mut self, _error: &Error) -> bool {
        false
    }

    /// Why the callback stopped the run, if it did.
    fn reason(&self) -> Option<String> {
        None
    }
    /// The epoch and the parameters (see [`State::params`]) that the run ends with, however it
    /// ends. The first callback that returns some decides.
    fn final_weights(&self) -> Option<(usize, &[f32])> {
        None
    }

    /// What the callback needs to continue in another process as it would in this one.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Restores what [`Callback::state`] returned; the next run continues from there.
    ///
    /// # Errors
    /// The state belongs to another callback.
    fn restore(&mut self, _state: &CallbackState) -> Result<()> {
        Ok(())
    }
    /// Called when training has ended, even by an error. `state` has the final weights.
    ///
    /// # Errors
    /// The callback failed.
    fn on_train_end(&mut self, _history: &History, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Rejects a metric that is never measured.
fn check_monitor(name: &str, metric: Metric, training: &Training) -> Result<()> {
    if training.validation || !metric.needs_validation() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "{name} watches {}, but there are no validation images: add some or a validation split, or \
         watch loss or accuracy",
        metric.name()
    )))
}

/// Several callbacks as one: calls all of them, and stops if any stops.
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
    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        (self.0.iter_mut()).try_for_each(|c| c.on_train_begin(training))
    }

    fn learning_rate(&mut self, position: &Position, rate: f32) -> Result<f32> {
        (self.0.iter_mut()).try_fold(rate, |rate, c| c.learning_rate(position, rate))
    }

    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        self.ask(|c| c.on_epoch_begin(progress))
    }

    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        self.ask(|c| c.on_batch_end(progress))
    }

    fn watches_batches(&self) -> bool {
        self.0.iter().any(|c| c.watches_batches())
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        self.ask(|c| c.on_epoch_end(logs, state))
    }

    fn ends_quietly(&mut self, error: &Error) -> bool {
        // Calls all of them, as each may record the error.
        let quiet = (self.0.iter_mut()).filter_map(|c| c.ends_quietly(error).then_some(()));
        quiet.count() > 0
    }

    fn reason(&self) -> Option<String> {
        self.0.iter().find_map(|c| c.reason())
    }

    fn final_weights(&self) -> Option<(usize, &[f32])> {
        self.0.iter().find_map(|c| c.final_weights())
    }

    fn on_train_end(&mut self, history: &History, state: &State) -> Result<()> {
        (self.0.iter_mut()).try_for_each(|c| c.on_train_end(history, state))
    }
}
