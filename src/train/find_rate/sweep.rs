//! The settings of a range test.

use crate::error::{Error, Result};
use crate::words::short;

/// A learning-rate range test (Smith, 2017): trains for a few steps with a rate that grows
/// exponentially from `from` to `to`, and watches the loss.
///
/// The settings are those of fastai's `lr_find`, except that the loss is smoothed less: fastai keeps
/// 0.98, with which the smoothed loss of 100 steps follows the true one only after tens of steps, so
/// that its lowest value lies at rates that are too large.
///
/// ```
/// use cnn_gpu::train::RateSweep;
/// let sweep = RateSweep::default();
/// assert_eq!((sweep.from, sweep.to, sweep.steps), (1e-7, 10.0, 100));
/// assert_eq!((sweep.rate(0), sweep.rate(50)), (1e-7, 1e-3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateSweep {
    /// The learning rate of the first step. Default 1e-7.
    pub from: f32,
    /// The learning rate that the step after the last one would have. Default 10.
    pub to: f32,
    /// Number of steps. Default 100.
    pub steps: usize,
    /// Share of the smoothed loss that each step keeps. Default 0.9.
    pub smoothing: f64,
    /// The test ends when the smoothed loss exceeds its lowest value by this factor. Default 4.
    pub stop_at: f64,
}

impl Default for RateSweep {
    fn default() -> Self {
        Self {
            from: 1e-7,
            to: 10.0,
            steps: 100,
            smoothing: 0.9,
            stop_at: 4.0,
        }
    }
}

impl RateSweep {
    /// Sets the first and the last learning rate.
    #[must_use]
    pub fn range(mut self, from: f32, to: f32) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// Sets the number of steps.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The learning rate of a step, counted from 0: `from * (to / from)^(step / steps)`.
    pub fn rate(&self, step: usize) -> f32 {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        (from * (to / from).powf(step as f64 / self.steps as f64)) as f32
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Rates that do not grow from a positive number, fewer than [`RateSweep::LEAST`] steps.
    pub fn check(&self) -> Result<()> {
        let rates = f32::MIN_POSITIVE..=f32::MAX;
        if !rates.contains(&self.from) || !rates.contains(&self.to) || self.from >= self.to {
            return Err(Error::Argument(format!(
                "expected learning rates that grow from a positive number, received {} to {}",
                short(self.from),
                short(self.to)
            )));
        }
        if self.steps < Self::LEAST {
            return Err(Error::Argument(format!(
                "expected at least {} steps, received {}: fewer give no curve",
                Self::LEAST,
                self.steps
            )));
        }
        Ok(())
    }

    /// The fewest steps that give a curve.
    pub const LEAST: usize = 20;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_that_do_not_grow_and_too_few_steps_are_refused() {
        for (from, to) in [(0.0, 1.0), (1.0, 1.0), (1e-3, f32::NAN), (-1.0, 1.0)] {
            let message = RateSweep::default().range(from, to).check().unwrap_err();
            assert!(message.to_string().contains("grow"), "{message}");
        }
        assert!(RateSweep::default().steps(19).check().is_err());
    }
}
