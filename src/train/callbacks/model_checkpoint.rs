//! The weights of some epochs, each in a file.

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
/// metric is better than all before it. The files are those that `evaluate` reads; see
/// [`crate::run::weights`].
///
/// `{epoch}` in the file's name stands for the epoch's number and `{loss}`, `{accuracy}`,
/// `{val_loss}`, `{val_accuracy}` for its metrics with four decimals; without them the file is
/// replaced, in one go.
///
/// Defaults: every epoch; `val_loss`, and any value is good enough to begin with.
///
/// # Errors
/// A file that cannot be written ends training with that error.
/// [`Trainer::fit_with`](crate::train::Trainer::fit_with) refuses a metric on validation images
/// where there are none, if it matters.
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
    seen: Seen,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
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
            seen: Seen::default(),
        }
    }

    /// Sets the metric that decides.
    pub fn monitor(mut self, monitor: Metric) -> Self {
        self.monitor = monitor;
        self
    }

    /// Says which values are better, if that does not follow from the metric.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Saves after epochs that are better than all before only.
    pub fn save_best_only(mut self, best_only: bool) -> Self {
        self.save_best_only = best_only;
        self
    }

    /// Sets what the first saved epoch has to be better than.
    pub fn initial_value_threshold(mut self, value: f64) -> Self {
        self.initial_value_threshold = Some(value);
        self
    }

    /// The epoch that was saved last, counted from 1.
    pub fn saved_epoch(&self) -> Option<usize> {
        self.seen.saved_epoch
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

    /// Whether this epoch is to be saved; one that is the best so far is remembered as such.
    fn wants(&mut self, logs: &EpochLogs) -> bool {
        if !self.save_best_only {
            return true;
        }
        let best = self.seen.best.or(self.initial_value_threshold);
        let value = (self.monitor.of(logs))
            .filter(|&value| self.mode.improves(self.monitor, value, best, 0.0));
        self.seen.best = value.or(self.seen.best);
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
        // As in Keras, a second run goes on from the best of the first: its file must not get worse.
        Ok(())
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, state: &State) -> Verdict {
        if self.wants(logs) {
            weights::save(&self.path(logs), &self.model, state)?;
            self.seen.saved_epoch = Some(logs.epoch);
        }
        CONTINUE
    }

    fn state(&self) -> CallbackState {
        CallbackState::new(&self.seen)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.seen = state.read(self.name())?;
        Ok(())
    }
}
