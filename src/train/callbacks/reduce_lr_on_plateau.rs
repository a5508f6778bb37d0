//! Reduces the learning rate of a run that no longer improves.

use serde::{Deserialize, Serialize};

use super::callback_state::{CallbackState, Kept, infinite};
use super::{CONTINUE, Callback, Verdict, check_monitor};
use crate::error::{Error, Result};
use crate::state::State;
use crate::train::{EpochLogs, Metric, Mode, Position, Training};
use crate::words::short;

/// Multiplies the learning rate by `factor` when a metric has not improved for `patience` epochs,
/// down to `min_lr`; then waits `cooldown` epochs before it counts again.
///
/// Defaults: `val_loss`, factor 0.1, patience 10, min_delta 1e-4, cooldown 0, min_lr 0. The reduced
/// rate is kept when the same callback is used in another run. It replaces the rate of the
/// callbacks before it.
///
/// # Errors
/// [`Trainer::fit_with`](crate::train::Trainer::fit_with) refuses a factor outside `[0, 1)`, and a
/// validation metric if there are no validation images.
///
/// ```
/// use cnn_gpu::train::Metric;
/// use cnn_gpu::train::callbacks::ReduceLROnPlateau;
/// let reduce = ReduceLROnPlateau::new(Metric::Loss).factor(0.5).patience(2).min_lr(1e-5);
/// # let _ = reduce;
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReduceLROnPlateau {
    monitor: Metric,
    mode: Mode,
    factor: f64,
    patience: usize,
    min_delta: f64,
    cooldown: usize,
    min_lr: f64,
    #[serde(skip)]
    state: Kept<ReduceLrState>,
}

/// What changes from epoch to epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ReduceLrState {
    #[serde(default, with = "infinite")]
    best: Option<f64>,
    wait: usize,
    /// Epochs of cooldown left.
    cooldown: usize,
    /// The reduced rate.
    rate: Option<f32>,
}

impl Default for ReduceLROnPlateau {
    fn default() -> Self {
        Self {
            monitor: Metric::default(),
            mode: Mode::default(),
            factor: 0.1,
            patience: 10,
            min_delta: 1e-4,
            cooldown: 0,
            min_lr: 0.0,
            state: Kept::default(),
        }
    }
}

impl ReduceLROnPlateau {
    /// Watches `monitor`.
    pub fn new(monitor: Metric) -> Self {
        Self {
            monitor,
            ..Self::default()
        }
    }

    /// Sets whether smaller or larger values are better. By default this follows from the metric.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the factor of a reduction.
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// Sets after how many epochs in a row without improvement the rate is reduced.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// Sets the minimum improvement; smaller ones do not count.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta;
        self
    }

    /// Sets how many epochs to wait after a reduction.
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// Sets the lower bound of the rate.
    pub fn min_lr(mut self, rate: f64) -> Self {
        self.min_lr = rate;
        self
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &'static str {
        "ReduceLROnPlateau"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        check_monitor(self.name(), self.monitor, training)?;
        if !(0.0..1.0).contains(&self.factor) {
            return Err(Error::Argument(format!(
                "ReduceLROnPlateau: factor {} must lie in [0, 1)",
                short(self.factor)
            )));
        }
        let rate = self.state.now.rate;
        if self.state.begin() {
            self.state.now.rate = rate;
        }
        Ok(())
    }

    fn learning_rate(&mut self, _position: &Position, rate: f32) -> Result<f32> {
        Ok(self.state.now.rate.unwrap_or(rate))
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        let Some(value) = self.monitor.of(logs) else {
            return CONTINUE;
        };
        let state = &mut self.state.now;
        if state.cooldown > 0 {
            state.cooldown -= 1;
            state.wait = 0;
        }
        if (self.mode).improves(self.monitor, value, state.best, self.min_delta) {
            state.best = Some(value);
            state.wait = 0;
        } else if state.cooldown == 0 {
            state.wait += 1;
            if state.wait >= self.patience && logs.learning_rate > self.min_lr as f32 {
                let rate = f64::from(logs.learning_rate) * self.factor;
                state.rate = Some(rate.max(self.min_lr) as f32);
                state.cooldown = self.cooldown;
                state.wait = 0;
            }
        }
        CONTINUE
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(&self.state.now)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state.restore(state.read(self.name())?);
        Ok(())
    }
}
