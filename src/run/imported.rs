//! The folder of an imported network, which commands accept in place of a run's.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RunFolder, moments, weights};
use crate::data::bounded::read_text;
use crate::disk;
use crate::error::{Error, FormatError, Result};
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::read_toml::read_toml;
use crate::run_files::{IMPORT, MOMENTS, WEIGHTS};
use crate::state::State;

/// `import.toml`: where an imported network came from, and what its file says beyond the weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImportRecord {
    /// The version of `cnn-gpu`.
    pub version: String,
    /// When the network was imported, with time zone.
    pub imported: String,
    /// The file.
    pub source: PathBuf,
    /// SHA-256 of the file's bytes.
    pub sha256: String,
    /// Its format, in words.
    pub format: String,
    /// The names of the classes, in the order of the model's outputs; empty if they are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// What was assumed, and what the file holds but was not taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The settings of the optimizer that trained the network, if the file has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizer: Option<Optimizer>,
}

impl ImportRecord {
    /// The record of a file in this format that was imported now, at `imported`, by this version.
    pub fn new(
        imported: impl Into<String>,
        source: impl Into<PathBuf>,
        sha256: impl Into<String>,
        format: impl Into<String>,
    ) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            imported: imported.into(),
            source: source.into(),
            sha256: sha256.into(),
            format: format.into(),
            class_names: Vec::new(),
            notes: Vec::new(),
            optimizer: None,
        }
    }

    /// Sets the names of the classes.
    #[must_use]
    pub fn class_names(mut self, names: Vec<String>) -> Self {
        self.class_names = names;
        self
    }

    /// Sets the notes.
    #[must_use]
    pub fn notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// Sets the optimizer.
    #[must_use]
    pub fn optimizer(mut self, optimizer: Option<Optimizer>) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Reads a record from the text of `import.toml`.
    ///
    /// # Errors
    /// The text is not such a record; the message is one line.
    pub fn from_toml(text: &str) -> Result<Self, FormatError> {
        let record: Self = read_toml(text)
            .map_err(|e: FormatError| e.within("not the record of an imported network"))?;
        if let Some(optimizer) = &record.optimizer {
            optimizer.check().map_err(FormatError::from_cause)?;
        }
        Ok(record)
    }
}

/// The folder of an imported network: `model.safetensors`, `import.toml` and, if the file held the
/// optimizer's moments, `optimizer.safetensors`.
///
/// ```
/// use cnn_gpu::model::{Dense, Flatten, Sequential};
/// use cnn_gpu::run::{ImportRecord, ImportedFolder, RunFolder};
/// use cnn_gpu::state::{Layout, State};
/// # let temporary = tempfile::tempdir()?;
/// # let path = temporary.path().join("net");
/// let model = Sequential::new([2, 2, 1]).add(Flatten::new()).add(Dense::new(3));
/// let state = State::new(Layout::new(&model)?, 1);
/// let record = ImportRecord::new("2026-11-29", "net.onnx", "00", "ONNX");
/// ImportedFolder::write(&RunFolder::create(&path)?, &record, &model, &state)?;
/// assert_eq!(ImportedFolder::open(&path).unwrap().record()?, record);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImportedFolder {
    path: PathBuf,
}

impl ImportedFolder {
    /// The folder at `path`, if it holds an imported network.
    pub fn open(path: &Path) -> Option<Self> {
        let path = path.to_owned();
        path.join(IMPORT).is_file().then_some(Self { path })
    }

    /// Writes the files into a new folder. The record is written last, so that a folder with a
    /// record is complete. The moments are written if the record names their optimizer.
    ///
    /// # Errors
    /// A file cannot be written; the folder is then left as it was before.
    pub fn write(
        folder: &RunFolder,
        record: &ImportRecord,
        model: &Sequential,
        state: &State,
    ) -> Result<Self> {
        let path = folder.path().to_owned();
        let imported = Self { path };
        let written = imported.write_files(record, model, state);
        if written.is_err() {
            for name in [IMPORT, MOMENTS, WEIGHTS] {
                // Files that cannot be removed do no harm.
                let _ = fs::remove_file(imported.path.join(name));
            }
            folder.withdraw();
        }
        written.map(|()| imported)
    }

    fn write_files(&self, record: &ImportRecord, model: &Sequential, state: &State) -> Result<()> {
        weights::save(&self.path.join(WEIGHTS), model, state)?;
        let has_moments = state.moments().next().is_some();
        if let Some(optimizer) = record.optimizer.filter(|_| has_moments) {
            moments::save(&self.path.join(MOMENTS), state, optimizer)?;
        }
        let path = self.path.join(IMPORT);
        let text = toml::to_string(record).map_err(|e| Error::file(&path, &e).caused_by(e))?;
        disk::replace(&path, text.as_bytes())
            .map_err(|e| Error::file(&path, format!("cannot write the record: {e}")).caused_by(e))
    }

    /// Reads the record.
    ///
    /// # Errors
    /// The file cannot be read, or is invalid.
    pub fn record(&self) -> Result<ImportRecord> {
        let path = self.path.join(IMPORT);
        let text = read_text(&path)
            .map_err(|e| Error::file(&path, format!("cannot read the record: {e}")).caused_by(e))?;
        ImportRecord::from_toml(&text).map_err(|e| e.at(&path))
    }

    /// Reads model and weights.
    ///
    /// # Errors
    /// Those of [`weights::load`].
    pub fn weights(&self) -> Result<(Sequential, State)> {
        weights::load(&self.path.join(WEIGHTS))
    }

    /// Reads the optimizer's moments and its number of steps into `state`, this folder's weights.
    /// Returns false, and leaves the state unchanged, if the folder has no moments.
    ///
    /// # Errors
    /// Those of [`moments::load`].
    pub fn load_moments(&self, state: &mut State) -> Result<bool> {
        let path = self.path.join(MOMENTS);
        if !path.exists() {
            return Ok(false);
        }
        moments::load(&path, state).map(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::disk::Act;
    use crate::model::{Dense, Flatten};
    use crate::state::Layout;

    fn network() -> (Sequential, State) {
        let model = Sequential::new([2, 2, 1])
            .add(Flatten::new())
            .add(Dense::new(3));
        let mut state = State::new(Layout::new(&model).unwrap(), 1);
        state.step = 4;
        state.m = vec![0.25; state.params.len()];
        (model, state)
    }

    fn record() -> ImportRecord {
        ImportRecord::new("today", "nets/a.keras", "ab", "Keras")
            .class_names(vec!["cat".into(), "dog".into(), "it's".into()])
            .notes(vec!["assumed nothing".into()])
            .optimizer(Some(Optimizer::sgd()))
    }

    #[test]
    fn a_written_folder_is_read() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("net");
        assert!(ImportedFolder::open(&path).is_none());
        let (model, state) = network();
        let folder = RunFolder::create(&path).unwrap();
        ImportedFolder::write(&folder, &record(), &model, &state).unwrap();
        let read = ImportedFolder::open(&path).unwrap();
        assert_eq!(read.record().unwrap(), record());
        let (found, mut weights) = read.weights().unwrap();
        assert_eq!(found, model);
        assert!(read.load_moments(&mut weights).unwrap());
        assert_eq!(weights.step, 4);
        for p in &state.layout.parameters {
            assert_eq!(weights.m[p.range()], state.m[p.range()]);
        }
        assert!(RunFolder::check_free(&path).is_err());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("net");
        let (model, state) = network();
        for failing in 0.. {
            let folder = RunFolder::create(&path).unwrap();
            let mut act = 0;
            let full = move |_: Act<'_>, _: &Path| {
                act += 1;
                if act > failing {
                    Err(ErrorKind::StorageFull.into())
                } else {
                    Ok(())
                }
            };
            let written = disk::watch(full, || {
                ImportedFolder::write(&folder, &record(), &model, &state)
            });
            if written.is_ok() {
                assert!(failing > 10, "{failing}");
                return;
            }
            let message = written.unwrap_err().to_string();
            assert!(message.contains("cannot write"), "{message}");
            assert!(!path.exists(), "write {failing}");
        }
    }

    #[test]
    fn a_record_of_another_kind_is_refused_in_one_line() {
        let text = toml::to_string(&record()).unwrap();
        let rate = text.replace("learning_rate = 0.01", "learning_rate = -1.0");
        for wrong in ["", "version = 1", &text.replace("sha256", "md5"), &rate] {
            let message = ImportRecord::from_toml(wrong).unwrap_err().to_string();
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
