//! Sets the learning rate by a schedule.

use super::{Callback, Schedule};
use crate::error::{Error, Result};
use crate::train::{Position, Training};
use crate::words::short;

/// Returns a step's rate from its position and the optimizer's rate.
type RateFn = dyn Fn(&Position, f32) -> f32 + Send;

/// Sets the learning rate before every step. It has no state: the rate depends only on the step's
/// position in the run, so a resumed run continues with the same rates.
///
/// ```
/// use cnn_gpu::train::callbacks::{LearningRateScheduler, Schedule};
/// let warm_up_then_down = Schedule::Cosine { warmup_epochs: 1.0, alpha: 0.0 };
/// let cosine = LearningRateScheduler::new(warm_up_then_down);
/// // Your own, as in Keras: from the epoch, here counted from 1, and the optimizer's rate.
/// let halved = LearningRateScheduler::from_fn(|at, rate| rate * 0.5f32.powi(at.epoch as i32 - 1));
/// # let _ = (cosine, halved);
/// ```
pub struct LearningRateScheduler {
    schedule: Box<RateFn>,
    check: Option<Schedule>,
}

impl LearningRateScheduler {
    /// Follows one of the built-in schedules.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            check: Some(schedule),
            ..Self::from_fn(move |at, rate| (f64::from(rate) * schedule.factor(at)) as f32)
        }
    }
    /// Follows your own schedule: a function from the step's position and the optimizer's rate to
    /// the step's rate.
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
                "the learning-rate schedule returned {} at epoch {}, step {}: expected a finite number, 0 or more",
                short(rate),
                position.epoch,
                position.step + 1
            )))
        }
    }
}
