//! The library's errors: one line each that says what was wrong, what was expected and what to do.

use std::path::{Path, PathBuf};

use crate::data::DataError;
use crate::words::{one_line, short};

/// What can go wrong between a model's description and its trained weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer cannot do what its description asks.
    #[error("layer `{layer}`: {message}")]
    Layer {
        /// The layer's name, as `summary` prints it.
        layer: String,
        /// What was expected and what was received.
        message: String,
    },
    /// A model as a whole makes no sense.
    #[error("model `{model}`: {message}")]
    Model {
        /// The model's name.
        model: String,
        /// What was expected and what was received.
        message: String,
    },
    /// A file cannot be read, written or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
    /// A run has no weights to load yet, but can be resumed.
    #[error(
        "{}: no weights yet, as the run has not reached the end of an epoch; resume it first",
        run.display()
    )]
    NoWeightsYet {
        /// The run's folder.
        run: PathBuf,
    },
    /// A data set cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An argument lies outside what is possible.
    #[error("{0}")]
    Argument(String),
    /// No device of the wanted kind, or one that cannot run this plan.
    #[error("{0}")]
    Device(String),
    /// The device stopped working while it ran.
    #[error(
        "device lost: {0}; the driver or the system took it away, so run again, with smaller batches if it repeats"
    )]
    DeviceLost(String),
    /// The device has no memory left, or could never have so much.
    #[error("out of memory: {0}; use a smaller model or batch, or another device")]
    OutOfMemory(String),
    /// The device has not answered for long.
    #[error("device hung: {0}; try smaller batches, and a newer driver")]
    DeviceHung(String),
    /// A plan or a data set is larger than the device allows; nothing was made on it.
    #[error("{needs}, and {allows}; {fits}")]
    TooLarge {
        /// What needs how much.
        needs: String,
        /// What allows how much.
        allows: String,
        /// What would fit.
        fits: String,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, learning rate {}){}; try a smaller learning rate",
        short(*learning_rate),
        origin.as_ref().map(|o| format!(", and the first that was not a finite number is {o}")).unwrap_or_default()
    )]
    NonFiniteLoss {
        /// The first such mean loss.
        loss: f32,
        /// Counted from 1 over the whole run.
        step: u64,
        /// Counted from 1.
        epoch: usize,
        /// The rate in force.
        learning_rate: f32,
        /// The first buffer of the step that was not finite, and the operation that met it.
        origin: Option<String>,
    },
    /// The last update made weights NaN or infinite, which the next loss would have told.
    #[error(
        "the weights `{parameter}` were no longer finite numbers after step {step} (epoch {epoch}, learning rate {}); try a smaller learning rate",
        short(*learning_rate)
    )]
    NonFiniteWeights {
        /// The first such parameter's name.
        parameter: String,
        /// Counted from 1 over the whole run.
        step: u64,
        /// Counted from 1.
        epoch: usize,
        /// The rate in force.
        learning_rate: f32,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about one file.
    pub fn file(path: &Path, message: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            message: one_line(&message.to_string()),
        }
    }

    /// An error about one layer.
    pub fn layer(layer: impl Into<String>, message: impl ToString) -> Self {
        Self::Layer {
            layer: layer.into(),
            message: message.to_string(),
        }
    }
}
