//! Weights in a file, kept up to date.

use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::model::Sequential;
use crate::run::weights;
use crate::state::State;
use crate::train::{Ending, EpochLogs, History};

/// Saves the weights after every epoch and at the end, an interruption included, so that nothing
/// earned is lost. The file is replaced in one go: it is always whole.
pub struct WeightsSaver {
    path: PathBuf,
    model: Sequential,
}

impl WeightsSaver {
    /// A saver of `model`'s weights.
    pub fn new(path: &Path, model: Sequential) -> Self {
        Self {
            path: path.to_owned(),
            model,
        }
    }
}

impl Callback for WeightsSaver {
    fn on_epoch_end(&mut self, _logs: &EpochLogs, state: &State) -> Verdict {
        weights::save(&self.path, &self.model, state)?;
        CONTINUE
    }

    fn on_train_end(&mut self, history: &History, state: &State) -> Result<()> {
        // After a finished epoch they are saved already; in place of those of a failed first epoch
        // there is nothing to save.
        let saved = history.ending == Ending::Finished && history.restored_epoch.is_none();
        let earned = history.ending != Ending::Failed || !history.epochs.is_empty();
        match !saved && earned {
            true => weights::save(&self.path, &self.model, state),
            false => Ok(()),
        }
    }
}
