//! The run folder and its files.

use std::fs::{self, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Config, RunOutcome, weights};
use crate::data::bounded::{read_bounded, read_text};
use crate::disk::{self, File};
use crate::error::{Error, Result, RunFolderProblem};
use crate::model::Sequential;
use crate::run_files::{CHECKPOINT, CONFIG, LOCK, WEIGHTS};
use crate::state::State;
use crate::train::EpochLogs;
use crate::train::callbacks::{CsvLogger, JsonlLogger, WeightsSaver};

/// The largest history to read: a million epochs.
const MAX_HISTORY: u64 = 256 << 20;

/// The folder of a run.
///
/// ```
/// use cnn_gpu::run::RunFolder;
/// # let temporary = tempfile::tempdir()?;
/// # let path = temporary.path().join("first");
/// let folder = RunFolder::create(&path)?;
/// std::fs::write(folder.config_path(), "")?;
/// assert!(RunFolder::create(&path).is_err()); // never overwritten
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// Whether the folder was created for the run.
    made: bool,
    /// The lock, held while a process trains into the folder.
    lock: Option<Arc<File>>,
}

impl RunFolder {
    /// Creates the folder and its parents.
    ///
    /// # Errors
    /// The folder is not empty, or cannot be created.
    pub fn create(path: &Path) -> Result<Self> {
        Self::check_free(path)?;
        let made = !path.exists();
        disk::make_folder(path).map_err(|e| {
            Error::file(path, format!("cannot create the run folder: {e}")).caused_by(e)
        })?;
        let folder = Self::open(path)?.locked().inspect_err(|_| {
            if made {
                // It is still empty.
                let _ = fs::remove_dir(path);
            }
        })?;
        Ok(Self { made, ..folder })
    }

    /// Creates a new folder: this one, or the first unused one of `path_2`, `path_3` and so on. Two
    /// processes that ask for the same folder get different ones.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn create_numbered(path: &Path) -> Result<Self> {
        let failed = |path: &Path, e| {
            Error::file(path, format!("cannot create the run folder: {e}")).caused_by(e)
        };
        if let Some(above) = path.parent() {
            disk::make_folder(above).map_err(|e| failed(above, e))?;
        }
        let mut number = 1;
        let mut free = path.to_owned();
        loop {
            match disk::make_new_folder(&free) {
                Ok(()) => break,
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(failed(&free, e)),
            }
            number += 1;
            let mut name = path.as_os_str().to_owned();
            name.push(format!("_{number}"));
            free = name.into();
        }
        let folder = Self::open(&free)?.locked()?;
        Ok(Self {
            made: true,
            ..folder
        })
    }

    /// Locks the folder, so that no other process trains into it until it is dropped.
    ///
    /// # Errors
    /// Another process holds the lock, or the folder is not writable.
    pub fn locked(mut self) -> Result<Self> {
        let path = self.path.join(LOCK);
        let file = File::create(&path).map_err(|e| {
            Error::file(&path, format!("cannot write into the run folder: {e}")).caused_by(e)
        })?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::RunFolder {
                    path: self.path,
                    problem: RunFolderProblem::InUse,
                });
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(_)) => {}
        }
        self.lock = Some(Arc::new(file));
        Ok(self)
    }

    /// Checks that `path` does not exist, is an empty folder, or is the folder of a run that failed
    /// to start.
    ///
    /// # Errors
    /// Something else is there.
    pub fn check_free(path: &Path) -> Result<()> {
        let is_free = |entries: fs::ReadDir| entries.flatten().all(|entry| is_leftover(&entry));
        let problem = if path.join(CONFIG).exists() && !path.join(WEIGHTS).exists() {
            RunFolderProblem::Unfinished
        } else {
            match fs::read_dir(path).map(is_free) {
                Ok(true) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
                Ok(false) => RunFolderProblem::NotEmpty,
                Err(e) => RunFolderProblem::Unreadable(e),
            }
        };
        Err(Error::RunFolder {
            path: path.to_owned(),
            problem,
        })
    }

    /// The folder of an earlier run.
    ///
    /// # Errors
    /// The folder does not exist.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::file(path, "expected the folder of a run"));
        }
        Ok(Self {
            path: path.to_owned(),
            made: false,
            lock: None,
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the settings.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// The path of the checkpoint.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join(CHECKPOINT)
    }

    /// Keeps only the first `epochs` epochs, those of a checkpoint, in the histories; a resumed run
    /// writes the others again.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn cut_histories(&self, epochs: usize) -> Result<()> {
        for (name, heading) in [("history.csv", 1), ("history.jsonl", 0)] {
            let path = self.path.join(name);
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::file(&path, &e).caused_by(e)),
            };
            let lines = match epochs {
                0 => 0,
                epochs => heading + epochs,
            };
            let kept: String = text.split_inclusive('\n').take(lines).collect();
            disk::replace(&path, kept.as_bytes())
                .map_err(|e| Error::file(&path, &e).caused_by(e))?;
        }
        Ok(())
    }

    /// Removes the files of a run that ended with neither weights nor a checkpoint, so that the
    /// next run can use the folder. Keeps the folder of another run, files that runs do not write,
    /// and a folder that existed before.
    pub fn withdraw(&self) {
        if self.weights_path().exists() || self.checkpoint_path().exists() {
            return;
        }
        for name in ["history.csv", "history.jsonl", CONFIG, LOCK] {
            // Files that cannot be removed do no harm.
            let _ = fs::remove_file(self.path.join(name));
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// The path of the model and its weights.
    pub fn weights_path(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// The path of the best epoch's weights, if they were requested.
    pub fn best_path(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    /// Writes the settings.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_config(&self, config: &Config) -> Result<()> {
        let path = self.config_path();
        let text = toml::to_string(config).map_err(|e| Error::file(&path, &e).caused_by(e))?;
        disk::replace(&path, text.as_bytes()).map_err(|e| Error::file(&path, &e).caused_by(e))
    }

    /// Reads the settings.
    ///
    /// # Errors
    /// The file is missing or invalid.
    pub fn config(&self) -> Result<Config> {
        let path = self.config_path();
        let text = read_text(&path).map_err(|e| {
            Error::file(&path, format!("cannot read the run's settings: {e}")).caused_by(e)
        })?;
        Config::from_toml(&text).map_err(|e| e.at(&path))
    }

    /// Writes the run's result as `result.json`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_result(&self, result: &impl serde::Serialize) -> Result<()> {
        let path = self.path.join("result.json");
        let text = serde_json::to_string_pretty(result)
            .map_err(|e| Error::file(&path, &e).caused_by(e))?;
        disk::replace(&path, (text + "\n").as_bytes())
            .map_err(|e| Error::file(&path, &e).caused_by(e))
    }

    /// Reads the run's result; `None` if the run has not ended.
    ///
    /// # Errors
    /// The file cannot be read, or is not a run's result.
    pub fn outcome(&self) -> Result<Option<RunOutcome>> {
        let path = self.path.join("result.json");
        let text = match read_text(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => {
                let message = format!("cannot read the run's result: {e}");
                return Err(Error::file(&path, message).caused_by(e));
            }
        };
        let outcome = serde_json::from_str(&text).map_err(|e| {
            Error::file(&path, format!("not the result of a run: {e}")).caused_by(e)
        })?;
        Ok(Some(outcome))
    }

    /// Reads the completed epochs from `history.jsonl`; none if there is no such file. A last line
    /// that is cut off, as by a full disk, is left out.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not an epoch.
    pub fn history(&self) -> Result<Vec<EpochLogs>> {
        let path = self.path.join("history.jsonl");
        let read = fs::File::open(&path).and_then(|file| read_bounded(file, MAX_HISTORY));
        let bytes = match read {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Error::file(&path, "longer than 256 MiB")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => {
                let message = format!("cannot read the run's history: {e}");
                return Err(Error::file(&path, message).caused_by(e));
            }
        };
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        let whole = lines.filter(|(_, line)| line.ends_with(b"\n"));
        let epoch = |(i, line): (usize, &[u8])| {
            serde_json::from_slice(line).map_err(|e| {
                let message = format!("line {}: not an epoch of a run: {e}", i + 1);
                Error::file(&path, message).caused_by(e)
            })
        };
        whole.map(epoch).collect()
    }

    /// The path of the times that a report measures.
    pub fn times_path(&self) -> PathBuf {
        self.path.join("times.json")
    }

    /// The path of the run's report.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Reads model and weights.
    ///
    /// # Errors
    /// Those of [`weights::load`]; or the run ended before it had weights.
    pub fn weights(&self) -> Result<(Sequential, State)> {
        let path = self.weights_path();
        if !path.exists() && self.config_path().exists() {
            return Err(Error::NoWeightsYet {
                run: self.path.clone(),
            });
        }
        weights::load(&path)
    }

    /// A callback that writes `history.csv`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn csv_logger(&self) -> Result<CsvLogger> {
        CsvLogger::append(&self.path.join("history.csv"))
    }

    /// A callback that writes `history.jsonl`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn jsonl_logger(&self) -> Result<JsonlLogger<File>> {
        JsonlLogger::append(&self.path.join("history.jsonl"))
    }

    /// A callback that writes the weights after each epoch.
    pub fn weights_saver(&self, model: Sequential) -> WeightsSaver {
        WeightsSaver::new(&self.weights_path(), model)
    }
}

/// Whether the entry remains from a run whose settings could not be written.
fn is_leftover(entry: &fs::DirEntry) -> bool {
    [LOCK, "config.toml.partial"]
        .iter()
        .any(|name| entry.file_name() == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, RunFolder) {
        let temporary = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(temporary.path().join(name), text).unwrap();
        }
        let folder = RunFolder::open(temporary.path()).unwrap();
        (temporary, folder)
    }

    #[test]
    fn a_run_without_weights_must_be_resumed() {
        let (temporary, run) = folder(&[("config.toml", "")]);
        let error = run.weights().unwrap_err();
        assert!(
            matches!(&error, Error::NoWeightsYet { run } if run == temporary.path()),
            "{error}"
        );
        // Without settings there is nothing to resume.
        let (_temporary, other) = folder(&[]);
        let error = other.weights().unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
    }

    #[test]
    fn a_history_is_read_up_to_a_line_that_is_cut_off() {
        let line = r#"{"epoch":1,"loss":0.5,"accuracy":0.9,"learning_rate":0.001,"seconds":1.0,"images_per_second":2.0}"#;
        let (_temporary, run) = folder(&[("history.jsonl", &format!("{line}\n{line}\n{{\"epo"))]);
        assert_eq!(run.history().unwrap().len(), 2);
        let (_temporary, run) = folder(&[("history.jsonl", &format!("{line}\n{{}}\n"))]);
        let message = run.history().unwrap_err().to_string();
        assert!(message.contains("line 2: not an epoch"), "{message}");
        let (_temporary, run) = folder(&[]);
        assert_eq!(run.history().unwrap(), []);
    }

    #[test]
    fn a_run_without_a_result_has_not_ended() {
        let (_temporary, run) = folder(&[]);
        assert_eq!(run.outcome().unwrap(), None);
        let (_temporary, run) = folder(&[("result.json", r#"{"restored_epoch": 3, "more": []}"#)]);
        assert_eq!(run.outcome().unwrap().unwrap().restored_epoch, Some(3));
        let (_temporary, run) = folder(&[("result.json", "[")]);
        let message = run.outcome().unwrap_err().to_string();
        assert!(message.contains("not the result of a run"), "{message}");
    }

    #[test]
    fn runs_that_request_the_same_folder_get_different_ones() {
        let temporary = tempfile::tempdir().unwrap();
        let wanted = temporary.path().join("runs").join("now");
        let runs: Vec<RunFolder> = std::thread::scope(|scope| {
            let make = || RunFolder::create_numbered(&wanted).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let mut names: Vec<String> = (runs.iter())
            .map(|run| run.path().file_name().unwrap().to_string_lossy().into())
            .collect();
        names.sort();
        let expected = [
            "now", "now_2", "now_3", "now_4", "now_5", "now_6", "now_7", "now_8",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn only_a_run_without_weights_is_withdrawn() {
        let (temporary, run) = folder(&[("config.toml", ""), ("model.safetensors", "")]);
        run.withdraw();
        assert!(run.config_path().exists());
        fs::remove_file(run.weights_path()).unwrap();
        fs::write(temporary.path().join("notes.txt"), "mine").unwrap();
        run.withdraw();
        assert!(!run.config_path().exists());
        fs::remove_file(temporary.path().join("notes.txt")).unwrap();
        run.withdraw();
        assert!(temporary.path().exists());
        let own = RunFolder::create(&temporary.path().join("own")).unwrap();
        own.withdraw();
        assert!(!own.path().exists());
    }

    #[test]
    fn a_run_that_failed_to_start_leaves_its_folder_free() {
        let (temporary, _) = folder(&[(".lock", ""), ("config.toml.partial", "half a li")]);
        RunFolder::create(temporary.path()).unwrap();
        fs::write(temporary.path().join("config.toml"), "").unwrap();
        assert!(RunFolder::create(temporary.path()).is_err());
    }

    #[test]
    fn epochs_after_the_checkpoint_are_cut_from_the_histories() {
        for (epochs, csv, jsonl) in [
            (0, "", ""),
            (1, "epoch\n1\n", "{1}\n"),
            (2, "epoch\n1\n2\n", "{1}\n{2}\n"),
        ] {
            let (temporary, folder) = folder(&[
                ("history.csv", "epoch\n1\n2\n3, ha"),
                ("history.jsonl", "{1}\n{2}\n{3"),
            ]);
            folder.cut_histories(epochs).unwrap();
            let read = |name| fs::read_to_string(temporary.path().join(name)).unwrap();
            assert_eq!(
                (&*read("history.csv"), &*read("history.jsonl")),
                (csv, jsonl)
            );
        }
    }
}
