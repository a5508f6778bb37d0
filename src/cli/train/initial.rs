//! `train --weights PATH`: starts from the weights of another run.

use std::path::{Path, PathBuf};

use cnn_gpu::optimizer::{Optimizer, UpdateRule};
use cnn_gpu::run::{InitialWeights, moments};
use cnn_gpu::shape::dims;
use cnn_gpu::state::{Parameter, State};
use cnn_gpu::train::Trainer;
use cnn_gpu::words::{counted, short};
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
    /// Reads the folder of a run or of an imported network, or a file of weights. With
    /// `skip_mismatch`, what does not fit the model is left out.
    ///
    /// # Errors
    /// As [`TrainedModel::open`]; or the path is not UTF-8 and cannot be stored in the run's
    /// settings.
    pub fn open(path: &Path, skip_mismatch: bool) -> Result<Self> {
        if path.to_str().is_none() {
            return Err(Error::Argument(format!(
                "--weights {}: expected a path in UTF-8",
                path.display()
            )));
        }
        let mut trained = TrainedModel::open(path)?;
        trained.load_imported_moments()?;
        let path = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
        let hash = trained.state.weights_hash();
        let mut record = InitialWeights::new(path, hash);
        record.skip_mismatch = skip_mismatch;
        Ok(Self { record, trained })
    }

    /// Reloads the weights, and the moments if it had any, that a run started from.
    ///
    /// # Errors
    /// As [`Initial::open`]; or they have changed.
    pub fn again(record: &InitialWeights) -> Result<Self> {
        let mut initial = Self::open(&record.path, record.skip_mismatch)?;
        let changed = |what: &str| {
            Error::file(
                &record.path,
                format!("not the {what} that the run started from: they have changed since"),
            )
        };
        if initial.record.hash != record.hash {
            return Err(changed("weights"));
        }
        match &record.moments {
            None => initial.leave_moments(),
            Some(hash) if *hash == moments::hash(&initial.trained.state) => {}
            Some(_) => return Err(changed("moments")),
        }
        initial.record = record.clone();
        Ok(initial)
    }

    /// The optimizer of an imported network.
    pub fn optimizer(&self) -> Option<Optimizer> {
        self.trained.import.as_ref()?.optimizer
    }

    /// Keeps the moments of an imported network if a run with this optimizer can continue with them.
    /// Says what becomes of them.
    pub fn settle(&mut self, optimizer: Optimizer) -> Option<String> {
        let theirs = self.optimizer()?;
        if self.record.skip_mismatch {
            // Moments of some of the parameters would be those of no step.
            self.leave_moments();
        }
        let state = &self.trained.state;
        let rate = short(optimizer.learning_rate());
        let name = optimizer.name();
        if !has_moments(state) {
            let what = format!("{name} with a learning rate of {rate}, as imported");
            return (theirs == optimizer).then_some(what);
        }
        if !continues(theirs, optimizer) {
            self.leave_moments();
            return Some(format!(
                "{name}, so the imported moments of {} are left",
                theirs.name()
            ));
        }
        self.record.moments = Some(moments::hash(state));
        Some(format!(
            "{name} with a learning rate of {rate} continues with the imported moments, after {}",
            counted(state.step, "step")
        ))
    }

    fn leave_moments(&mut self) {
        let state = &mut self.trained.state;
        for arena in [&mut state.m, &mut state.v, &mut state.average] {
            *arena = Vec::new();
        }
    }

    /// Sets the weights of a trainer with this optimizer, which continues with the imported moments,
    /// or starts anew if there are none. Returns, in words, what was left out.
    ///
    /// # Errors
    /// The trainer's model has other parameters, or no parameter in common if those that do not fit
    /// are left out.
    pub fn give(mut self, trainer: &mut Trainer, optimizer: Optimizer) -> Result<Option<String>> {
        if optimizer.ema_momentum.is_none() {
            self.trained.state.average = Vec::new();
        }
        let mut state = trainer.state().clone();
        let left_out = self.fill(&mut state)?;
        let theirs = &self.trained.state;
        if has_moments(theirs) {
            state.step = theirs.step;
            for arena in [&mut state.m, &mut state.v] {
                arena.resize(state.layout.len, 0.0);
            }
            if !theirs.average.is_empty() {
                state.average.resize(state.layout.len, 0.0);
            }
        }
        let arenas = [
            (&mut state.m, &theirs.m),
            (&mut state.v, &theirs.v),
            (&mut state.average, &theirs.average),
        ];
        for (to, from) in arenas.into_iter().filter(|(_, from)| !from.is_empty()) {
            for (ours, theirs) in (state.layout.parameters.iter()).zip(&theirs.layout.parameters) {
                to[ours.range()].copy_from_slice(&from[theirs.range()]);
            }
        }
        trainer.set_state(state)?;
        Ok(left_out)
    }

    /// Copies the weights, not the moments, to a state of its model. Returns, in words, what was left
    /// out.
    ///
    /// # Errors
    /// As [`Initial::give`].
    pub fn fill(&self, state: &mut State) -> Result<Option<String>> {
        let theirs = &self.trained.state;
        if !self.record.skip_mismatch {
            self.check_equal(state, theirs)?;
        }
        let skipped = state.copy_fitting(theirs);
        let all = state.layout.parameters.len();
        if !skipped.is_empty() && skipped.len() == all {
            return Err(Error::file(
                &self.record.path,
                "no parameter has a name and shape of the model's: expected a model with layers in common",
            ));
        }
        Ok((!skipped.is_empty()).then(|| {
            let described = skipped
                .iter()
                .map(|&i| described(&state.layout.parameters[i]));
            let names: Vec<String> = described.collect();
            format!(
                "{} of the model's {} come from {}; anew: {}",
                all - skipped.len(),
                counted(all, "parameter"),
                self.record.path.display(),
                names.join(", ")
            )
        }))
    }

    fn check_equal(&self, state: &State, theirs: &State) -> Result<()> {
        let (ours, theirs) = (&state.layout.parameters, &theirs.layout.parameters);
        let differing = (0..ours.len().max(theirs.len()))
            .map(|i| (ours.get(i), theirs.get(i)))
            .find(|(a, b)| a.map(described) != b.map(described));
        let Some((ours, theirs)) = differing else {
            return Ok(());
        };
        let name =
            |p: Option<&Parameter>| p.map_or_else(|| "no further parameter".into(), described);
        Err(Error::file(
            &self.record.path,
            format!(
                "the weights belong to another model: expected {}, found {}; omit --model to train \
                 theirs, or pass --skip-mismatch to load what fits",
                name(ours),
                name(theirs)
            ),
        ))
    }
}

fn has_moments(state: &State) -> bool {
    state.moments().next().is_some()
}

/// Whether the moments of one optimizer mean the same to the other.
fn continues(theirs: Optimizer, ours: Optimizer) -> bool {
    match (theirs.rule, ours.rule) {
        (UpdateRule::Adam { .. }, UpdateRule::Adam { .. })
        | (UpdateRule::RmsProp { .. }, UpdateRule::RmsProp { .. }) => true,
        (UpdateRule::Sgd { .. }, UpdateRule::Sgd { momentum, .. }) => {
            momentum > 0.0 || ours.ema_momentum.is_some()
        }
        _ => false,
    }
}

fn described(parameter: &Parameter) -> String {
    format!("{}[{}]", parameter.name, dims(&parameter.shape))
}
