//! Stops a run that no longer improves.

use serde::{Deserialize, Serialize};

use super::callback_state::{CallbackState, Kept, infinite};
use super::{CONTINUE, Callback, STOP, Verdict, check_monitor};
use crate::error::Result;
use crate::state::State;
use crate::train::{EpochLogs, Metric, Mode, Training};
use crate::words::short;

/// Stops training when a metric has stopped improving.
///
/// An epoch improves if its metric is better than the best so far by more than `min_delta`. After
/// `patience` epochs in a row without improvement, training stops. With a `baseline`, an
/// improvement counts only if the metric is also better than the baseline. Epochs that did not
/// measure the metric are ignored. As in Keras, the first value is an improvement even if it is
/// infinite, and the very first epoch never ends a run.
///
/// With `restore_best_weights`, the run ends with the weights of its best epoch, however it ends:
/// by patience, after the last epoch, by another callback, an interrupt or an error.
/// [`History::restored_epoch`](crate::train::History::restored_epoch) is that epoch. The
/// optimizer's moments are not restored.
///
/// Defaults: `val_loss`, patience 0, min_delta 0, no baseline, start_from_epoch 0, and the last
/// weights are kept.
///
/// # Errors
/// [`Trainer::fit_with`](crate::train::Trainer::fit_with) refuses a validation metric if there are
/// no validation images.
///
/// ```
/// use cnn_gpu::data::digits;
/// use cnn_gpu::exec::{self, Backend, Selection};
/// use cnn_gpu::model::preset;
/// use cnn_gpu::train::callbacks::EarlyStopping;
/// use cnn_gpu::train::{Metric, Options, Trainer};
/// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
/// let device = exec::open(&Selection::new(Backend::Cpu))?;
/// let options = Options::default().epochs(20).validation_split(0.2);
/// let mut trainer = Trainer::new(model, &device, options)?;
/// let mut stopping = EarlyStopping::new(Metric::ValAccuracy)
///     .patience(1)
///     .restore_best_weights(true);
/// let history = trainer.fit_with(&digits::generate(300, 1, 0), &mut [&mut stopping])?;
/// assert_eq!(history.restored_epoch, stopping.best_epoch());
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EarlyStopping {
    monitor: Metric,
    mode: Mode,
    min_delta: f64,
    patience: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    #[serde(skip)]
    state: Kept<EarlyStoppingState>,
    /// The weights of `EarlyStoppingState::best_epoch`.
    #[serde(skip)]
    best_weights: Option<Vec<f32>>,
}

/// What changes from epoch to epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct EarlyStoppingState {
    #[serde(default, with = "infinite")]
    best: Option<f64>,
    best_epoch: Option<usize>,
    /// Epochs in a row without improvement.
    wait: usize,
    stopped_epoch: Option<usize>,
}

impl EarlyStopping {
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

    /// Sets the minimum improvement; smaller ones do not count.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta;
        self
    }

    /// Sets after how many epochs in a row without improvement training stops.
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// Sets the value that the metric must beat for an improvement to count.
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// Sets whether the run ends with the weights of its best epoch.
    pub fn restore_best_weights(mut self, restore: bool) -> Self {
        self.restore_best_weights = restore;
        self
    }

    /// Ignores this many epochs at the beginning.
    pub fn start_from_epoch(mut self, epochs: usize) -> Self {
        self.start_from_epoch = epochs;
        self
    }

    /// Whether the run ends with the weights of its best epoch.
    pub fn restores(&self) -> bool {
        self.restore_best_weights
    }

    /// The best value so far.
    pub fn best(&self) -> Option<f64> {
        self.state.now.best
    }

    /// The epoch of the best value, counted from 1.
    pub fn best_epoch(&self) -> Option<usize> {
        self.state.now.best_epoch
    }

    /// The epoch after which it stopped the run, counted from 1, if it did.
    pub fn stopped_epoch(&self) -> Option<usize> {
        self.state.now.stopped_epoch
    }

    fn improves(&self, value: f64, than: Option<f64>) -> bool {
        (self.mode).improves(self.monitor, value, than, self.min_delta)
    }

    fn keep(&mut self, epoch: usize, state: &State) {
        self.state.now.best_epoch = Some(epoch);
        if self.restore_best_weights {
            self.best_weights = Some(state.params.clone());
        }
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &'static str {
        "EarlyStopping"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        check_monitor(self.name(), self.monitor, training)?;
        if self.state.begin() {
            self.best_weights = None;
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        let Some(value) = self.monitor.of(logs) else {
            return CONTINUE;
        };
        if logs.epoch <= self.start_from_epoch {
            return CONTINUE;
        }
        if self.state.now.best_epoch.is_none() {
            // Some epoch's weights are better than none, even if its metric is NaN.
            self.keep(logs.epoch, state);
        }
        self.state.now.wait += 1;
        if self.improves(value, self.state.now.best) {
            self.state.now.best = Some(value);
            self.keep(logs.epoch, state);
            if self.baseline.is_none() || self.improves(value, self.baseline) {
                self.state.now.wait = 0;
            }
        }
        // Keras never stops after an epoch that improved, not even below the baseline, although its
        // documentation says that it does.
        let wait = self.state.now.wait;
        if wait > 0 && wait >= self.patience && logs.epoch > 1 {
            self.state.now.stopped_epoch = Some(logs.epoch);
            return STOP;
        }
        CONTINUE
    }

    fn reason(&self) -> Option<String> {
        let EarlyStoppingState {
            best, best_epoch, ..
        } = self.state.now;
        let epoch = self.state.now.stopped_epoch?;
        let best = match (best, best_epoch) {
            (Some(best), Some(epoch)) => format!("; its best, {best:.4}, was in epoch {epoch}"),
            _ => String::new(),
        };
        let name = self.monitor.name();
        let below = |baseline: &f64| {
            !self
                .state
                .now
                .best
                .is_some_and(|best| self.improves(best, Some(*baseline)))
        };
        let why = match self.baseline.filter(below) {
            Some(baseline) => format!("was not better than the baseline, {}", short(baseline)),
            None => "stopped improving".into(),
        };
        Some(format!(
            "early stopping after epoch {epoch}, as {name} {why}{best}"
        ))
    }

    fn final_weights(&self) -> Option<(usize, &[f32])> {
        let weights = self.best_weights.as_deref()?;
        Some((self.state.now.best_epoch?, weights))
    }

    fn state(&self) -> CallbackState {
        let mut state = CallbackState::new(&self.state.now);
        if let Some(weights) = &self.best_weights {
            state.arrays.insert("best_weights".into(), weights.clone());
        }
        state
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state.restore(state.read(self.name())?);
        self.best_weights = state.arrays.get("best_weights").cloned();
        Ok(())
    }
}
