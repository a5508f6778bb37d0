//! The callbacks of a run, as in its settings.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::Sequential;
use crate::train::Metric;
use crate::train::callbacks::{
    Callback, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau, Schedule,
    TensorBoard, TerminateOnNaN,
};

/// The callbacks of a run that may change its course or its files; none by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CallbackRecord {
    /// Whether the run ends normally when the loss becomes NaN.
    pub terminate_on_nan: bool,
    /// The metric that decides which epoch `best.safetensors` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_best: Option<Metric>,
    /// The folder of TensorBoard's event files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensorboard: Option<std::path::PathBuf>,
    /// The learning-rate schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_rate_schedule: Option<Schedule>,
    /// Reduces the learning rate on a plateau.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduce_lr_on_plateau: Option<ReduceLROnPlateau>,
    /// Stops the run early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStopping>,
}

impl CallbackRecord {
    /// Creates the callbacks, always in the same order; `best` is the file of the best epoch's
    /// weights, see [`RunFolder::best_path`](super::RunFolder::best_path).
    ///
    /// # Errors
    /// A file or folder cannot be written.
    pub fn callbacks(&self, best: &Path, model: &Sequential) -> Result<Vec<Box<dyn Callback>>> {
        let mut callbacks: Vec<Box<dyn Callback>> = Vec::new();
        if let Some(schedule) = self.learning_rate_schedule {
            callbacks.push(Box::new(LearningRateScheduler::new(schedule)));
        }
        if let Some(reduce) = &self.reduce_lr_on_plateau {
            callbacks.push(Box::new(reduce.clone()));
        }
        if self.terminate_on_nan {
            callbacks.push(Box::new(TerminateOnNaN::default()));
        }
        if let Some(metric) = self.checkpoint_best {
            let best = ModelCheckpoint::new(best, model.clone());
            callbacks.push(Box::new(best.monitor(metric).save_best_only(true)));
        }
        if let Some(path) = &self.tensorboard {
            callbacks.push(Box::new(TensorBoard::create(path)?));
        }
        if let Some(stopping) = &self.early_stopping {
            callbacks.push(Box::new(stopping.clone()));
        }
        Ok(callbacks)
    }
}
