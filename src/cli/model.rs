//! Choosing a model on the command line.

use std::path::Path;

use cnn_gpu::model::{PRESETS, Sequential};
use cnn_gpu::run::{Config, RunFolder, weights};

/// A model, as an argument or, as in `train` and `bench`, with `--model`.
#[derive(clap::Args, Debug)]
pub struct ModelArgs {
    /// A preset (mnist-cnn, mnist-mlp), a TOML file, a run folder or a model.safetensors file
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
    /// Loads the model, and the run's settings if it belongs to a run.
    ///
    /// # Errors
    /// As [`Sequential::load`], [`RunFolder::config`] and [`weights::load`].
    pub fn load(&self) -> cnn_gpu::Result<(Sequential, Option<Config>)> {
        let name = self.named.as_ref().unwrap_or(&self.model);
        let path = Path::new(name);
        if PRESETS.contains(&name.as_str()) {
            return Ok((Sequential::load(name)?, None));
        }
        if path.is_dir() {
            let config = RunFolder::open(path)?.config()?;
            return Ok((config.model.clone(), Some(config)));
        }
        if path.extension().is_some_and(|end| end == "safetensors") {
            Ok((weights::load(path)?.0, None))
        } else {
            Ok((Sequential::load(name)?, None))
        }
    }
}
