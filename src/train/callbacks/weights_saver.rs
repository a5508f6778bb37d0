//! Keeps a file of weights up to date.

use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;
use crate::train::{Ending, EpochLogs, History};

/// Saves the weights after every epoch and at the end, even after an interrupt, so that no training
/// is lost. The file is replaced atomically and is always complete.
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
    /// The parameters in the file, if it has been written.
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
        // The last epoch's weights are saved already, and a failed first epoch has none worth
        // saving.
        let has_trained = history.ending != Ending::Failed || !history.epochs.is_empty();
        if has_trained && self.saved.as_ref() != Some(&state.params) {
            self.save(state)
        } else {
            Ok(())
        }
    }
}
