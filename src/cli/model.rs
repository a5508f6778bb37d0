//! Choosing a model on the command line.

use std::path::Path;

use cnn_gpu::model::{PRESETS, Sequential};
use cnn_gpu::run::{RunFolder, weights};
use cnn_gpu::train::Options;

use super::trained_model::imported;

/// A model, as an argument or, as in `train` and `bench`, with `--model`.
#[derive(clap::Args, Debug)]
pub struct ModelArgs {
    /// A preset (mnist-cnn, mnist-small, mnist-best, mnist-mlp, resnet20), a TOML file, a run folder, an imported folder or a
    /// model.safetensors file
    #[arg(
        value_name = "MODEL",
        default_value = "mnist-cnn",
        conflicts_with = "named"
    )]
    model: String,

    /// The same, as a flag
    #[arg(long = "model", value_name = "MODEL", hide = true)]
    named: Option<String>,
}

impl ModelArgs {
    /// Loads the model, and the options with which it was trained, or the default ones.
    ///
    /// # Errors
    /// As [`load`].
    pub fn load(&self) -> cnn_gpu::Result<(Sequential, Options)> {
        load(self.named.as_ref().unwrap_or(&self.model))
    }
}

/// The model that `name` stands for: a preset, a TOML file, the folder of a run or of an imported
/// network, or a file of weights; and the options with which it was trained, or the default ones.
///
/// # Errors
/// As [`Sequential::load`], [`RunFolder::config`] and [`weights::load`].
pub fn load(name: &str) -> cnn_gpu::Result<(Sequential, Options)> {
    let path = Path::new(name);
    let untrained = |model| (model, Options::default());
    if PRESETS.contains(&name) {
        return Sequential::load(name).map(untrained);
    }
    if path.is_dir() {
        return of_folder(&RunFolder::open(path)?);
    }
    if path.extension().is_some_and(|end| end == "safetensors") {
        return weights::load(path).map(|(model, _)| untrained(model));
    }
    Sequential::load(name).map(untrained)
}

fn of_folder(folder: &RunFolder) -> cnn_gpu::Result<(Sequential, Options)> {
    let Some(imported) = imported(folder) else {
        let config = folder.config()?;
        return Ok((config.model, config.training));
    };
    let options = Options::default();
    let options = match imported.record()?.optimizer {
        Some(optimizer) => options.optimizer(optimizer),
        None => options,
    };
    Ok((imported.weights()?.0, options))
}
