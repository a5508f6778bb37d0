//! Weights in a file, kept up to date.

use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;
use crate::train::{Ending, EpochLogs, History};

/// Saves the weights after every epoch and at the end, an interruption included, so that nothing
/// earned is lost. The file is replaced in one go: it is always whole, and `evaluate` reads it.
///
/// # Errors
/// A file that cannot be written ends training with that error.
///
/// ```
/// use std::path::Path;
/// use cnn_gpu::model::preset;
/// use cnn_gpu::train::callbacks::WeightsSaver;
/// # let Some(model) = preset("mnist-mlp") else { return };
/// let saver = WeightsSaver::new(Path::new("mlp.safetensors"), model);
/// # let _ = saver;
/// ```
pub struct WeightsSaver {
    path: PathBuf,
    model: Sequential,
    /// What the file holds, once it holds something.
    saved: Option<Vec<f32>>,
}

impl WeightsSaver {
    /// A saver of `model`'s weights.
    pub fn new(path: &Path, model: Sequential) -> Self {
        Self {
            path: path.to_owned(),
            model,
            saved: None,
        }
    }
}

impl WeightsSaver {
    fn save(&mut self, state: &State) -> Result<()> {
        weights::save(&self.path, &self.model, state)?;
        self.saved = Some(state.params.clone());
        Ok(())
    }
}

impl Callback for WeightsSaver {
    fn on_epoch_end(&mut self, _logs: &EpochLogs, state: &State) -> Verdict {
        self.save(state)?;
        CONTINUE
    }

    fn on_train_end(&mut self, history: &History, state: &State) -> Result<()> {
        // Those of the last epoch are saved already; in place of those of a failed first epoch there
        // is nothing to save.
        let earned = history.ending != Ending::Failed || !history.epochs.is_empty();
        if earned && self.saved.as_ref() != Some(&state.params) {
            self.save(state)
        } else {
            Ok(())
        }
    }
}
