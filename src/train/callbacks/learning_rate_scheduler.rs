//! Learning rates that follow a plan made beforehand.

use super::{Callback, Schedule};
use crate::error::{Error, Result};
use crate::train::{Position, Training};
use crate::words::short;

/// The rate of the step at a position, from the optimizer's.
type RateFn = dyn Fn(&Position, f32) -> f32 + Send;

/// Sets the learning rate before every step.
///
/// It has no memory: the rate follows from the step's place in the run, so that a resumed run goes
/// on where it was.
///
/// ```
/// use cnn_gpu::train::callbacks::{LearningRateScheduler, Schedule};
/// let warm_up_then_down = Schedule::Cosine { warmup_epochs: 1.0, alpha: 0.0 };
/// let cosine = LearningRateScheduler::new(warm_up_then_down);
/// // One's own, as in Keras: from the epoch, here counted from 1, and the optimizer's rate.
/// let halved = LearningRateScheduler::from_fn(|at, rate| rate * 0.5f32.powi(at.epoch as i32 - 1));
/// # let _ = (cosine, halved);
/// ```
pub struct LearningRateScheduler {
    schedule: Box<RateFn>,
    check: Option<Schedule>,
}

impl LearningRateScheduler {
    /// Follows one of the schedules at hand.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            check: Some(schedule),
            ..Self::from_fn(move |at, rate| (f64::from(rate) * schedule.factor(at)) as f32)
        }
    }

    /// Follows a schedule of one's own: the step's place and the optimizer's rate are given, the
    /// step's rate is the answer.
    pub fn from_fn(schedule: impl Fn(&Position, f32) -> f32 + Send + 'static) -> Self {
        Self {
            schedule: Box::new(schedule),
            check: None,
        }
    }
}

impl Callback for LearningRateScheduler {
    fn name(&self) -> &'static str {
        "LearningRateScheduler"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        let Some(schedule) = self.check else {
            return Ok(());
        };
        schedule.check()?;
        schedule.check_length(training.epochs, training.steps)
    }

    fn learning_rate(&mut self, position: &Position, rate: f32) -> Result<f32> {
        let rate = (self.schedule)(position, rate);
        if (0.0..=f32::MAX).contains(&rate) {
            Ok(rate)
        } else {
            Err(Error::Argument(format!(
                "the learning-rate schedule gives {} at epoch {}, step {}: expected a number from 0 on",
                short(rate),
                position.epoch,
                position.step + 1
            )))
        }
    }
}
