//! `train --weights PATH`: the weights of another run to begin with.

use std::path::{Path, PathBuf};

use cnn_gpu::model::Sequential;
use cnn_gpu::run::InitialWeights;
use cnn_gpu::shape::dims;
use cnn_gpu::state::{Parameter, State};
use cnn_gpu::train::Trainer;
use cnn_gpu::{Error, Result};

use crate::cli::subject::Subject;

/// Weights to begin with.
pub struct Initial {
    /// Where they lie, and which they are.
    pub record: InitialWeights,
    state: State,
}

impl Initial {
    /// Reads a run's folder or a file of weights: the model in it, and its weights.
    ///
    /// # Errors
    /// As [`Subject::open`].
    pub fn open(path: &Path) -> Result<(Sequential, Self)> {
        let Subject { model, state, .. } = Subject::open(path)?;
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let hash = state.weights_hash();
        let record = InitialWeights { path, hash };
        Ok((model, Self { record, state }))
    }

    /// The weights that a run began with.
    ///
    /// # Errors
    /// As [`Initial::open`]; or they are no longer the same.
    pub fn again(record: &InitialWeights) -> Result<Self> {
        let (_, initial) = Self::open(&record.path)?;
        match initial.record.hash == record.hash {
            true => Ok(initial),
            false => Err(Error::file(
                &record.path,
                "not the weights that the run began with: they have changed since",
            )),
        }
    }

    /// Gives the trainer these weights; its optimizer begins anew.
    ///
    /// # Errors
    /// The trainer's model has other parameters.
    pub fn give(&self, trainer: &mut Trainer) -> Result<()> {
        let mut state = trainer.state().clone();
        let (ours, theirs) = (&state.layout.parameters, &self.state.layout.parameters);
        let differing = (0..ours.len().max(theirs.len()))
            .map(|i| (ours.get(i), theirs.get(i)))
            .find(|(a, b)| a.map(described) != b.map(described));
        if let Some((ours, theirs)) = differing {
            let name = |p: Option<&Parameter>| p.map_or_else(|| "no more".into(), described);
            return Err(Error::file(
                &self.record.path,
                format!(
                    "the weights are those of another network: expected {}, found {}; leave out --model \
                     to train theirs",
                    name(ours),
                    name(theirs)
                ),
            ));
        }
        for (ours, theirs) in ours.iter().zip(theirs) {
            state.params[ours.range()].copy_from_slice(&self.state.params[theirs.range()]);
        }
        trainer.set_state(state)
    }
}

fn described(parameter: &Parameter) -> String {
    format!("{}[{}]", parameter.name, dims(&parameter.shape))
}
