//! The library's errors. Each message is one line: what was wrong, what was expected and what to
//! do.

use std::io;
use std::path::{Path, PathBuf};

use crate::data::{Cause, DataError};
use crate::words::{one_line, short};

/// An error of this library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer is invalid.
    #[error("layer `{layer}`: {message}")]
    Layer {
        /// The layer's name, as `summary` prints it.
        layer: String,
        /// What was expected and what was received.
        message: String,
    },
    /// A model as a whole is invalid.
    #[error("model `{model}`: {message}")]
    Model {
        /// The model's name.
        model: String,
        /// What was expected and what was received; includes the text of `source`.
        message: String,
        /// The error of the decoder, if the model was read from text.
        source: Option<Cause>,
    },
    /// A file cannot be read, written or parsed.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found; includes the text of `source`.
        message: String,
        /// The error of the operating system or of a decoder, if there is one.
        source: Option<Cause>,
    },
    /// A run has no weights to load yet, but it can be resumed.
    #[error(
        "{}: no weights yet because the run has not completed an epoch; resume it first",
        run.display()
    )]
    NoWeightsYet {
        /// The run's folder.
        run: PathBuf,
    },
    /// A file holds weights without the model that they belong to.
    #[error(
        "{}: holds weights without their model: expected the model that they belong to as well",
        path.display()
    )]
    ModelNeeded {
        /// The file.
        path: PathBuf,
    },
    /// A data set is unavailable or invalid.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An argument is out of range.
    #[error("{0}")]
    Argument(String),
    /// A folder cannot take a new run.
    #[error("{}: {problem}", path.display())]
    RunFolder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        #[source]
        problem: RunFolderProblem,
    },
    /// No device matches the request, or the device failed or cannot run this plan.
    #[error("{message}")]
    Device {
        /// What failed; includes the text of `source`.
        message: String,
        /// The error of the system or of the driver, if there is one.
        source: Option<Cause>,
    },
    /// No adapter of the requested kind is present at all.
    #[error("{0}")]
    NoAdapter(String),
    /// Another rank of a distributed run failed, or this one does not fit the others.
    #[error("{0}")]
    Rank(String),
    /// The device stopped working during a run.
    #[error(
        "device lost: {0}; run again, with smaller batches if the driver or the system resets it again"
    )]
    DeviceLost(String),
    /// The device is out of memory.
    #[error("out of memory: {0}; use a smaller model or batch, or another device")]
    OutOfMemory(String),
    /// The device has stopped responding.
    #[error("device hung: {0}; try smaller batches, and a newer driver")]
    DeviceHung(String),
    /// A plan or a data set exceeds a limit of the device; nothing was allocated.
    #[error("{needs}, and {allows}; {fits}")]
    TooLarge {
        /// What is needed, and for what.
        needs: String,
        /// The limit, and whose it is.
        allows: String,
        /// What would fit.
        fits: String,
        /// The largest batch that fits, if it was searched for and there is one.
        largest_batch: Option<usize>,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, learning rate {}){}; try a smaller learning rate",
        short(*learning_rate),
        origin.as_ref().map(|o| format!(", and the first value that was not finite is {o}")).unwrap_or_default()
    )]
    NonFiniteLoss {
        /// The loss.
        loss: f32,
        /// The step, counted from 1 over the whole run.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The learning rate of the step.
        learning_rate: f32,
        /// The first buffer of the step with a value that was not finite, and the operation that
        /// read it.
        origin: Option<String>,
    },
    /// The last update made weights NaN or infinite, and no step follows whose loss would show it.
    #[error(
        "the weights `{parameter}` became NaN or infinite after step {step} (epoch {epoch}, learning rate {}); try a smaller learning rate",
        short(*learning_rate)
    )]
    NonFiniteWeights {
        /// The name of the first such parameter.
        parameter: String,
        /// The step, counted from 1 over the whole run.
        step: u64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The learning rate of the step.
        learning_rate: f32,
    },
}

/// Why a folder cannot take a new run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderProblem {
    /// Another process trains into it.
    #[error("another process is training into this folder; wait for it, or choose another folder")]
    InUse,
    /// It holds a run that has no weights yet.
    #[error("contains a run without weights; resume it, or choose another folder")]
    Unfinished,
    /// It holds something else.
    #[error(
        "the folder is not empty, and existing runs are never overwritten; choose another folder"
    )]
    NotEmpty,
    /// It cannot be read, or is not a folder.
    #[error("not a readable folder; choose another folder")]
    Unreadable(#[source] io::Error),
}

/// Why the contents of a file are invalid, in one line.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct FormatError {
    message: String,
    source: Option<Cause>,
}

impl FormatError {
    /// An error with the text of its cause.
    pub(crate) fn from_cause(cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        Self::from(cause.to_string()).caused_by(cause)
    }

    /// Sets the source. The message should already include its text.
    pub(crate) fn caused_by(self, cause: impl Into<Cause>) -> Self {
        let source = Some(cause.into());
        Self { source, ..self }
    }

    /// The same error, with `context` and a colon before its message.
    pub(crate) fn within(self, context: &str) -> Self {
        let message = format!("{context}: {}", self.message);
        Self { message, ..self }
    }

    /// The error about the file at `path`.
    pub(crate) fn at(self, path: &Path) -> Error {
        Error::File {
            path: path.to_owned(),
            message: self.message,
            source: self.source,
        }
    }
}

impl From<String> for FormatError {
    fn from(message: String) -> Self {
        Self {
            message: one_line(&message),
            source: None,
        }
    }
}

impl From<&str> for FormatError {
    fn from(message: &str) -> Self {
        message.to_owned().into()
    }
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about one file.
    pub fn file(path: &Path, message: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            message: one_line(&message.to_string()),
            source: None,
        }
    }

    /// An error of a device.
    pub fn device(message: impl Into<String>) -> Self {
        Self::Device {
            message: message.into(),
            source: None,
        }
    }

    /// Sets the [`source`](std::error::Error::source) of an [`Error::File`] or an
    /// [`Error::Device`]. The message should already include its text.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::File { source, .. } | Self::Device { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }

    /// An error about one layer.
    pub fn layer(layer: impl Into<String>, message: impl ToString) -> Self {
        Self::Layer {
            layer: layer.into(),
            message: message.to_string(),
        }
    }
}

#[cfg(all(test, feature = "pictures"))]
mod tests {
    use std::error::Error as _;
    use std::io;

    use safetensors::SafeTensorError;

    use super::*;
    use crate::data::{Picture, idx_folder, npz};
    use crate::model::Sequential;
    use crate::run::RunFolder;
    use crate::run::checkpoint::Checkpoint;
    use crate::run::weights;

    /// The last error of a chain.
    fn root<'a>(
        error: &'a (dyn std::error::Error + 'static),
    ) -> &'a (dyn std::error::Error + 'static) {
        error.source().map_or(error, root)
    }

    #[test]
    fn the_source_of_an_error_about_a_missing_file_is_that_of_the_system() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let errors: [Error; 6] = [
            Picture::read(&missing).map(|_| ()).unwrap_err().into(),
            npz::splits(&missing).unwrap_err().into(),
            idx_folder::splits(&missing).unwrap_err().into(),
            Sequential::from_file(&missing).unwrap_err(),
            weights::load(&missing).map(|_| ()).unwrap_err(),
            Checkpoint::load(&missing).map(|_| ()).unwrap_err(),
        ];
        for error in errors {
            let source = root(&error).downcast_ref::<io::Error>();
            let source = source.unwrap_or_else(|| panic!("{error} has no source"));
            assert_eq!(source.kind(), io::ErrorKind::NotFound, "{error}");
            let (message, cause) = (error.to_string(), source.to_string());
            assert_eq!(message.matches(&cause).count(), 1, "{message}");
        }
    }

    #[test]
    fn the_source_of_an_error_about_a_broken_file_is_that_of_the_decoder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken");
        let png = b"\x89PNG\r\n\x1a\n and no more";
        let error = Picture::from_bytes(&path, png).map(|_| ()).unwrap_err();
        assert!(root(&error).is::<png::DecodingError>(), "{error:?}");
        let error = npz::from_reader(&path, io::Cursor::new(b"no archive")).unwrap_err();
        assert!(root(&error).is::<zip::result::ZipError>(), "{error:?}");
        let error = idx_folder::from_bytes(&path, b"no array".to_vec()).unwrap_err();
        assert!(root(&error).is::<crate::data::idx::IdxError>(), "{error:?}");
        let error = idx_folder::from_bytes(&path, b"\x1f\x8b and no more".to_vec()).unwrap_err();
        assert!(root(&error).is::<io::Error>(), "{error:?}");
    }

    #[test]
    fn the_source_of_an_error_about_a_broken_run_is_that_of_the_decoder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broken");
        std::fs::write(&path, [0; 20]).unwrap();
        for error in [
            weights::load(&path).map(|_| ()).unwrap_err(),
            Checkpoint::load(&path).map(|_| ()).unwrap_err(),
        ] {
            let source = error.source().unwrap();
            assert!(source.is::<SafeTensorError>(), "{error:?}");
            assert!(root(&error).is::<serde_json::Error>(), "{error:?}");
        }
        std::fs::write(&path, "no model").unwrap();
        let error = Sequential::from_file(&path).unwrap_err();
        assert!(root(&error).is::<toml::de::Error>(), "{error:?}");
        let error = RunFolder::check_free(&path).unwrap_err();
        assert!(root(&error).is::<io::Error>(), "{error:?}");
    }

    #[test]
    fn the_source_of_an_error_about_pictures_is_that_of_the_first() {
        let missing = |name: &str| DataError::Read {
            path: name.into(),
            source: io::ErrorKind::NotFound.into(),
        };
        let path = Path::new("pets");
        let error = DataError::pictures(path, 3, vec![missing("b"), missing("a")]);
        let first = error.source().unwrap().to_string();
        assert!(first.contains("cannot read a"), "{first}");
        assert!(root(&error).is::<io::Error>(), "{error:?}");
    }

    #[test]
    fn a_message_of_several_lines_becomes_one() {
        let error = Error::file(Path::new("a"), "one\ntwo").caused_by("two");
        assert_eq!(error.to_string(), "a: one; two");
        assert!(error.source().is_some());
        assert!(Error::layer("a", "b").caused_by("two").source().is_none());
    }
}
