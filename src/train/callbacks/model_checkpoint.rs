//! Saves the weights of epochs, each to a file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::callback_state::{CallbackState, infinite};
use super::{CONTINUE, Callback, Verdict, check_monitor};
use crate::error::Result;
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;
use crate::train::{EpochLogs, Metric, Mode, Training};

/// Saves model and weights after every epoch, or with `save_best_only` after every epoch whose
/// metric is better than all before. The files can be evaluated; see [`crate::run::weights`].
///
/// In the file's name, `{epoch}` stands for the epoch's number and `{loss}`, `{accuracy}`,
/// `{val_loss}`, `{val_accuracy}` for its metrics with four decimals. Without them the file is
/// replaced atomically.
///
/// Defaults: every epoch; `val_loss`, without a threshold for the first value.
///
/// # Errors
/// A file that cannot be written ends training with that error. With `save_best_only`,
/// [`Trainer::fit_with`](crate::train::Trainer::fit_with) refuses a validation metric if there are
/// no validation images.
///
/// ```
/// use std::path::Path;
/// use cnn_gpu::model::preset;
/// use cnn_gpu::train::Metric;
/// use cnn_gpu::train::callbacks::ModelCheckpoint;
/// # let Some(model) = preset("mnist-mlp") else { return };
/// let best = ModelCheckpoint::new(Path::new("best-{epoch}.safetensors"), model)
///     .monitor(Metric::ValAccuracy)
///     .save_best_only(true);
/// # let _ = best;
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: PathBuf,
    model: Sequential,
    monitor: Metric,
    mode: Mode,
    save_best_only: bool,
    initial_value_threshold: Option<f64>,
    state: ModelCheckpointState,
}

/// What changes from epoch to epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct ModelCheckpointState {
    #[serde(default, with = "infinite")]
    best: Option<f64>,
    saved_epoch: Option<usize>,
}

impl ModelCheckpoint {
    /// Saves `model`'s weights to `path`.
    pub fn new(path: &Path, model: Sequential) -> Self {
        Self {
            path: path.to_owned(),
            model,
            monitor: Metric::default(),
            mode: Mode::default(),
            save_best_only: false,
            initial_value_threshold: None,
            state: ModelCheckpointState::default(),
        }
    }

    /// Sets the metric that decides which epoch is best.
    pub fn monitor(mut self, monitor: Metric) -> Self {
        self.monitor = monitor;
        self
    }

    /// Sets whether smaller or larger values are better. By default this follows from the metric.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets whether to save only epochs that are better than all before.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }

    /// Sets the value that the first saved epoch must beat.
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.initial_value_threshold = Some(value);
        self
    }

    /// The epoch that was saved last, counted from 1.
    pub fn saved_epoch(&self) -> Option<usize> {
        self.state.saved_epoch
    }

    fn path(&self, logs: &EpochLogs) -> PathBuf {
        let mut path = self.path.to_string_lossy().into_owned();
        if !path.contains('{') {
            return self.path.clone();
        }
        path = path.replace("{epoch}", &logs.epoch.to_string());
        for metric in [
            Metric::Loss,
            Metric::Accuracy,
            Metric::ValLoss,
            Metric::ValAccuracy,
        ] {
            if let Some(value) = metric.of(logs) {
                path = path.replace(&format!("{{{}}}", metric.name()), &format!("{value:.4}"));
            }
        }
        path.into()
    }

    /// Whether to save this epoch; remembers it if it is the best so far.
    fn wants(&mut self, logs: &EpochLogs) -> bool {
        if !self.save_best_only {
            return true;
        }
        let best = self.state.best.or(self.initial_value_threshold);
        let value = (self.monitor.of(logs))
            .filter(|&value| self.mode.improves(self.monitor, value, best, 0.0));
        self.state.best = value.or(self.state.best);
        value.is_some()
    }
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &'static str {
        "ModelCheckpoint"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        if self.save_best_only {
            check_monitor(self.name(), self.monitor, training)?;
        }
        // As in Keras, a second run keeps the best value of the first, so that the file never gets
        // worse.
        Ok(())
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        if self.wants(logs) {
            weights::save(&self.path(logs), &self.model, state)?;
            self.state.saved_epoch = Some(logs.epoch);
        }
        CONTINUE
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(&self.state)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.state = state.read(self.name())?;
        Ok(())
    }
}
