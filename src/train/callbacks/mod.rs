//! Callbacks are told what happened and answer whether to go on; they do not reach into the
//! trainer.
//!
//! One per file, named as in Keras where Keras has them. What they say beyond that is asked of them:
//! the [learning rate](Callback::learning_rate) of a step, the
//! [weights](Callback::final_weights) to end with, [why](Callback::reason) they stopped the run,
//! and [what they remember](Callback::state), which a checkpoint keeps.

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
pub use progbar_logger::{ProgbarLogger, short_time};
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use schedule::Schedule;
pub use tensorboard::TensorBoard;
pub use terminate_on_nan::TerminateOnNaN;
pub use weights_saver::WeightsSaver;

use super::{EpochLogs, History, Metric, Position, Progress, Training};
use crate::error::{Error, Result};
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
pub trait Callback: Send {
    /// What it is called where its state is kept.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }

    /// Training begins.
    ///
    /// # Errors
    /// What the callback could not do; training does not begin.
    fn on_train_begin(&mut self, _training: &Training) -> Result<()> {
        Ok(())
    }

    /// The learning rate of the step at `position`. `rate` is the optimizer's, or what the callback
    /// before this one made of it.
    ///
    /// # Errors
    /// What the callback could not do.
    fn learning_rate(&mut self, _position: &Position, rate: f32) -> Result<f32> {
        Ok(rate)
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

    /// Whether an error that stopped training is an end like another: then it is not returned, and
    /// the run ends with the weights of its last whole epoch.
    fn ends_quietly(&mut self, _error: &Error) -> bool {
        false
    }

    /// Why it asked to stop, if it did.
    fn reason(&self) -> Option<String> {
        None
    }

    /// The epoch and the parameters (see [`State::params`]) that the run should end with, whatever
    /// ended it. The first callback that names some decides.
    fn final_weights(&self) -> Option<(usize, &[f32])> {
        None
    }

    /// What it has to remember to go on in another process as it would in this one.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Takes back what [`Callback::state`] gave; the run that begins next goes on from there.
    ///
    /// # Errors
    /// It is the state of another callback.
    fn restore(&mut self, _state: &CallbackState) -> Result<()> {
        Ok(())
    }

    /// Training has ended, after an error too, and `state` is what it led to: the weights to end
    /// with are in place.
    ///
    /// # Errors
    /// What the callback could not do.
    fn on_train_end(&mut self, _history: &History, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// A metric that will never be measured cannot be watched.
fn check_monitor(name: &str, metric: Metric, training: &Training) -> Result<()> {
    if training.validation || !metric.needs_validation() {
        return Ok(());
    }
    Err(Error::Argument(format!(
        "{name} watches {}, and there are no images to validate on: give some, or a validation split, \
         or watch loss or accuracy",
        metric.name()
    )))
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

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        self.ask(|c| c.on_epoch_end(logs, state))
    }

    fn ends_quietly(&mut self, error: &Error) -> bool {
        // All are asked, as each may note it.
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
