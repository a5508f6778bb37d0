//! Epochs as lines of a CSV file.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::error::{Error, Result};
use crate::state::State;
use crate::train::EpochLogs;

/// Writes one line per epoch, below a line of names, and flushes it.
pub struct CsvLogger {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl CsvLogger {
    /// A logger that writes a new file.
    ///
    /// # Errors
    /// The file cannot be written, or exists.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| Error::file(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            writer: csv::Writer::from_writer(file),
        })
    }
}

impl Callback for CsvLogger {
    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        (self.writer.serialize(logs)).map_err(|e| Error::file(&self.path, e))?;
        (self.writer.flush()).map_err(|e| Error::file(&self.path, e))?;
        CONTINUE
    }
}
