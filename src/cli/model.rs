//! Choosing a network on the command line.

use cnn_gpu::model::Sequential;

/// A network, by its place on the command line or, as `train` and `bench` take it, by `--model`.
#[derive(clap::Args, Debug)]
pub struct ModelArgs {
    /// A preset (mnist-cnn, mnist-mlp) or the path of a TOML file
    #[arg(
        value_name = "MODEL",
        default_value = "mnist-cnn",
        conflicts_with = "named"
    )]
    model: String,

    /// The same
    #[arg(long = "model", value_name = "MODEL", hide = true)]
    named: Option<String>,
}

impl ModelArgs {
    /// Reads it.
    ///
    /// # Errors
    /// As [`Sequential::load`].
    pub fn load(&self) -> cnn_gpu::Result<Sequential> {
        Sequential::load(self.named.as_ref().unwrap_or(&self.model))
    }
}
