//! Writes the epochs to a CSV file.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::{CONTINUE, Callback, Verdict};
use crate::disk::File;
use crate::error::{Error, Result};
use crate::state::State;
use crate::train::{EpochLogs, Training};
use crate::words::short;

/// Writes a header with the field names of [`EpochLogs`] when training begins, then one line per
/// epoch, each flushed at once. A run that ends in its first epoch leaves only the header.
///
/// The columns `val_loss` and `val_accuracy` exist if there are validation images, and are empty in
/// epochs that did not validate. Keras's columns are `epoch`, counted from 0, and the metrics; here
/// epochs count from 1, as Keras prints them.
///
/// # Errors
/// A file that cannot be written ends training with that error.
///
/// ```
/// use cnn_gpu::train::callbacks::CsvLogger;
/// let folder = tempfile::tempdir()?;
/// let mut logger = CsvLogger::create(&folder.path().join("history.csv"))?;
/// // trainer.fit_with(&train, &mut [&mut logger])?;
/// # let _ = &mut logger;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CsvLogger {
    path: PathBuf,
    file: File,
    /// Whether the file has its header already.
    named: bool,
    validation: bool,
}

impl CsvLogger {
    /// A logger that writes a new file.
    ///
    /// # Errors
    /// The file cannot be written, or exists.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create_new(path).map_err(|e| Error::file(path, &e).caused_by(e))?;
        Ok(Self::new(path, file, false))
    }

    /// A logger that appends to a file with its columns, or creates it: Keras's `append=True`.
    ///
    /// # Errors
    /// The file cannot be written, or has other columns.
    pub fn append(path: &Path) -> Result<Self> {
        let mut file = File::append(path).map_err(|e| Error::file(path, &e).caused_by(e))?;
        let mut text = String::new();
        (file.read_to_string(&mut text)).map_err(|e| Error::file(path, &e).caused_by(e))?;
        let mut logger = Self::new(path, file, !text.is_empty());
        let found = text.lines().next().unwrap_or_default();
        logger.validation = found == names(true).join(",");
        if logger.named && !logger.validation && found != names(false).join(",") {
            return Err(Error::file(
                path,
                format!("expected the columns {}", names(true).join(",")),
            ));
        }
        Ok(logger)
    }

    fn new(path: &Path, file: File, named: bool) -> Self {
        Self {
            path: path.to_owned(),
            file,
            named,
            validation: false,
        }
    }

    /// Writes a line with a single call.
    fn write(&mut self, cells: impl Iterator<Item = String>) -> Result<()> {
        let mut line = csv::Writer::from_writer(Vec::new());
        let record = line.write_record(cells).map_err(std::io::Error::from);
        let line = record.and_then(|()| line.into_inner().map_err(|e| e.into_error()));
        line.and_then(|line| self.file.write_all(&line))
            .map_err(|e| Error::file(&self.path, &e).caused_by(e))
    }
}

/// Names and values, those of the validation only if there is one.
fn cells(
    logs: &EpochLogs,
    validation: bool,
) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let optional = |value: Option<f64>| value.map(short).unwrap_or_default();
    let cells = [
        ("epoch", logs.epoch.to_string()),
        ("loss", short(logs.loss)),
        ("accuracy", short(logs.accuracy)),
        ("val_loss", optional(logs.val_loss)),
        ("val_accuracy", optional(logs.val_accuracy)),
        ("learning_rate", short(logs.learning_rate)),
        ("seconds", short(logs.seconds)),
        ("images_per_second", short(logs.images_per_second)),
    ];
    (cells.into_iter()).filter(move |(name, _)| validation || !name.starts_with("val_"))
}

fn names(validation: bool) -> Vec<&'static str> {
    let cells = cells(&EpochLogs::default(), validation);
    cells.map(|(name, _)| name).collect()
}

impl Callback for CsvLogger {
    fn name(&self) -> &'static str {
        "CsvLogger"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        if !std::mem::replace(&mut self.named, true) {
            self.validation = training.validation;
            self.write(names(self.validation).into_iter().map(String::from))?;
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        self.write(cells(logs, self.validation).map(|(_, value)| value))?;
        CONTINUE
    }
}
