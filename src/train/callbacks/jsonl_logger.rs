//! Writes the epochs as JSON objects, one per line.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::state::State;
use crate::train::EpochLogs;

/// Writes a line per epoch, a JSON object with the fields of [`EpochLogs`], and flushes it.
///
/// # Errors
/// A line that cannot be written ends training with that error.
///
/// ```
/// use cnn_gpu::train::callbacks::{Callback, JsonlLogger};
/// # use cnn_gpu::{model::preset, state::{Layout, State}, train::EpochLogs};
/// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
/// # let state = State::new(Layout::new(&model)?, 1);
/// let mut lines = Vec::new();
/// let mut logger = JsonlLogger::new("lines", &mut lines);
/// let mut logs = EpochLogs::default();
/// logs.epoch = 1;
/// let _ = logger.on_epoch_end(&logs, &state)?;
/// assert!(lines.starts_with(b"{\"epoch\":1,"));
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub struct JsonlLogger<W> {
    /// The name in errors.
    path: PathBuf,
    writer: W,
}

impl JsonlLogger<File> {
    /// A logger that writes a new file.
    ///
    /// # Errors
    /// The file cannot be written, or exists.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| Error::file(path, &e).caused_by(e))?;
        Ok(Self::new(path, file))
    }

    /// A logger that appends to a file, or creates it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(path: &Path) -> Result<Self> {
        let file = File::append(path).map_err(|e| Error::file(path, &e).caused_by(e))?;
        Ok(Self::new(path, file))
    }
}

impl<W: Write> JsonlLogger<W> {
    /// A logger that writes to `writer`, called `name` in errors.
    pub fn new(name: impl Into<PathBuf>, writer: W) -> Self {
        Self {
            path: name.into(),
            writer,
        }
    }
}

impl<W: Write + Send> Callback for JsonlLogger<W> {
    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        let line =
            serde_json::to_string(logs).map_err(|e| Error::file(&self.path, &e).caused_by(e))?;
        (self.writer)
            .write_all((line + "\n").as_bytes())
            .and_then(|()| self.writer.flush())
            .map_err(|e| Error::file(&self.path, &e).caused_by(e))?;
        CONTINUE
    }
}
