//! What `evaluate` and `predict` look at: a run's folder, or a file of weights.

use std::path::Path;

use cnn_gpu::data::Choice;
use cnn_gpu::exec::Opened;
use cnn_gpu::model::Sequential;
use cnn_gpu::run::{Config, RunFolder, weights};
use cnn_gpu::state::State;
use cnn_gpu::train::{Options, Trainer};

/// A model with its weights.
pub struct Subject {
    pub model: Sequential,
    pub state: State,
    /// The run's settings, where there is a run.
    pub config: Option<Config>,
}

impl Subject {
    /// Reads a run's folder, or a file of weights.
    pub fn open(path: &Path) -> cnn_gpu::Result<Self> {
        if !path.is_dir() {
            let (model, state) = weights::load(path)?;
            return Ok(Self {
                model,
                state,
                config: None,
            });
        }
        let folder = RunFolder::open(path)?;
        let (model, state) = folder.weights()?;
        Ok(Self {
            model,
            state,
            config: Some(folder.config()?),
        })
    }

    /// The model with its weights, on a device. Nothing is to be trained, so there need be no room for
    /// that.
    pub fn trainer(self, device: &Opened) -> cnn_gpu::Result<Trainer> {
        let options = Options::default().batch_size(1);
        let mut trainer = Trainer::new(self.model, device, options)?;
        trainer.set_state(self.state)?;
        Ok(trainer)
    }

    /// The data set that the run took, without its fallback: MNIST's scores must be MNIST's.
    pub fn data(&self) -> Choice {
        let Some(config) = &self.config else {
            return Choice::default();
        };
        let (choice, name) = (&config.dataset.choice, &config.dataset.name);
        match choice.parse() {
            Ok(Choice::Auto) | Err(_) => name.parse().unwrap_or_default(),
            Ok(choice) => choice,
        }
    }

    /// What the classes are called, as far as the run says.
    pub fn class_names(&self) -> Vec<String> {
        let config = self.config.as_ref();
        config.map_or_else(Vec::new, |c| c.dataset.class_names.clone())
    }

    /// Whether the model was trained on digits; of bare weights nobody knows, and ten classes are
    /// taken for digits.
    pub fn knows_digits(&self) -> bool {
        match &self.config {
            Some(config) => ["mnist", "digits"].contains(&config.dataset.name.as_str()),
            None => self.model.output_shape().is_ok_and(|shape| shape == [10]),
        }
    }
}
