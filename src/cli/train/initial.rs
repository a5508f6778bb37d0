//! `train --weights PATH`: starts from the weights of another run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cnn_gpu::run::InitialWeights;
use cnn_gpu::shape::dims;
use cnn_gpu::state::Parameter;
use cnn_gpu::train::Trainer;
use cnn_gpu::{Error, Result};

use crate::cli::trained_model::TrainedModel;

/// Initial weights.
pub struct Initial {
    /// Their path and their hash.
    pub record: InitialWeights,
    /// The weights with their model, and the run they come from.
    pub trained: TrainedModel,
}

impl Initial {
    /// Reads a run's folder or a file of weights.
    ///
    /// # Errors
    /// As [`TrainedModel::open`]; or the path is not UTF-8 and cannot be stored in the run's
    /// settings.
    pub fn open(path: &Path) -> Result<Self> {
        if path.to_str().is_none() {
            return Err(Error::Argument(format!(
                "--weights {}: expected a path in UTF-8",
                path.display()
            )));
        }
        let trained = TrainedModel::open(path)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let hash = trained.state.weights_hash();
        let record = InitialWeights::new(path, hash);
        Ok(Self { record, trained })
    }

    /// Reloads the weights that a run started from.
    ///
    /// # Errors
    /// As [`Initial::open`]; or the weights have changed.
    pub fn again(record: &InitialWeights) -> Result<Self> {
        let initial = Self::open(&record.path)?;
        if initial.record.hash == record.hash {
            Ok(initial)
        } else {
            Err(Error::file(
                &record.path,
                "not the weights that the run started from: they have changed since",
            ))
        }
    }

    /// Sets the trainer's weights, and resets its optimizer.
    ///
    /// # Errors
    /// The trainer's model has other parameters.
    pub fn give(self, trainer: &mut Trainer) -> Result<()> {
        let mut state = trainer.state().clone();
        let layout = Arc::clone(&state.layout);
        let (ours, theirs) = (&layout.parameters, &self.trained.state.layout.parameters);
        let differing = (0..ours.len().max(theirs.len()))
            .map(|i| (ours.get(i), theirs.get(i)))
            .find(|(a, b)| a.map(described) != b.map(described));
        if let Some((ours, theirs)) = differing {
            let name =
                |p: Option<&Parameter>| p.map_or_else(|| "no further parameter".into(), described);
            return Err(Error::file(
                &self.record.path,
                format!(
                    "the weights belong to another model: expected {}, found {}; omit --model to train \
                     theirs",
                    name(ours),
                    name(theirs)
                ),
            ));
        }
        for (ours, theirs) in ours.iter().zip(theirs) {
            let theirs = &self.trained.state.params[theirs.range()];
            state.params[ours.range()].copy_from_slice(theirs);
        }
        trainer.set_state(state)
    }
}

fn described(parameter: &Parameter) -> String {
    format!("{}[{}]", parameter.name, dims(&parameter.shape))
}
