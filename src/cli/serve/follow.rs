//! The news and the newest weights of a run that is training. The files are read when a page asks
//! for them and they have changed; nothing is written, and no lock is taken.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use cnn_gpu::error::{Error, Result};
use cnn_gpu::model::Sequential;
use cnn_gpu::run::{Config, RunFolder, RunOutcome};
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::EpochLogs;
use serde::Serialize;

use super::site::ServedFile;
use crate::cli::train::initial::Initial;
use crate::cli::trained_model::TrainedModel;

/// The news of the run.
const NEWS: &str = "follow.json";
/// The newest weights.
const WEIGHTS: &str = "weights.safetensors";

/// A run that trains writes a checkpoint every minute; after this time without one it has probably
/// died.
const SILENCE: Duration = Duration::from_secs(180);

/// When a file was written, and its length; none if it is missing.
type FileStamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> FileStamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// When the files of a run were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RunStamps {
    config: FileStamp,
    lock: FileStamp,
    history: FileStamp,
    checkpoint: FileStamp,
    weights: FileStamp,
    result: FileStamp,
}

impl RunStamps {
    fn of(folder: &RunFolder) -> Self {
        let named = |name: &str| stamp(&folder.path().join(name));
        Self {
            config: stamp(&folder.config_path()),
            lock: named(".lock"),
            history: named("history.jsonl"),
            checkpoint: stamp(&folder.checkpoint_path()),
            weights: stamp(&folder.weights_path()),
            result: named("result.json"),
        }
    }

    /// Whether the result was written by the process that trained last: each locks the folder
    /// first.
    fn result_is_last(&self) -> bool {
        let time = |stamp: FileStamp| stamp.map(|(time, _)| time);
        time(self.result).is_some_and(|result| time(self.lock).is_none_or(|lock| result >= lock))
    }

    /// Whether nothing was written for long.
    fn are_silent(&self) -> bool {
        let Self {
            config,
            lock,
            history,
            checkpoint,
            weights,
            result,
        } = self;
        let all = [config, lock, history, checkpoint, weights, result];
        let last = all.into_iter().flatten().map(|(time, _)| *time).max();
        let age = last.and_then(|last| last.elapsed().ok());
        age.is_some_and(|age| age > SILENCE)
    }
}

/// What the run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum RunStage {
    Training,
    /// It has not ended, but has written nothing for long.
    Silent,
    Finished,
    /// A callback stopped it.
    Stopped,
    Interrupted,
    /// The folder holds a run of another network.
    Replaced,
}

/// `follow.json`, described in `docs/web.md`.
#[derive(Debug, Serialize)]
struct RunNews {
    state: RunStage,
    epochs: usize,
    history: Vec<EpochLogs>,
    weights: String,
    is_trained: bool,
    reason: Option<String>,
    restored_epoch: Option<usize>,
    test_accuracy: Option<f64>,
}

impl RunNews {
    fn new(stage: RunStage, config: &Config, history: Vec<EpochLogs>, end: RunOutcome) -> Self {
        Self {
            state: stage,
            epochs: config.training.epochs,
            history,
            weights: String::new(),
            is_trained: false,
            reason: end.stop_reason,
            restored_epoch: end.restored_epoch,
            test_accuracy: end.test_accuracy,
        }
    }
}

/// The stage of a run that has ended.
fn ended(outcome: &RunOutcome) -> RunStage {
    match outcome {
        RunOutcome {
            interrupted: true, ..
        } => RunStage::Interrupted,
        RunOutcome {
            stop_reason: Some(_),
            ..
        } => RunStage::Stopped,
        _ => RunStage::Finished,
    }
}

/// A run that a page follows.
pub struct FollowedRun {
    folder: RunFolder,
    /// The network that the page computes.
    model: Sequential,
    /// The weights with which the page was made.
    first: ServedFile,
    weights: Option<(FileStamp, ServedFile)>,
    news: Option<((RunStamps, bool), ServedFile)>,
}

impl FollowedRun {
    /// A run of this network, with the weights with which the page was made.
    pub fn new(folder: RunFolder, model: Sequential, weights: Vec<u8>) -> Self {
        Self {
            folder,
            model,
            first: ServedFile::new(WEIGHTS, weights),
            weights: None,
            news: None,
        }
    }

    /// Whether this is a file of a followed run.
    pub fn has(name: &str) -> bool {
        [NEWS, WEIGHTS].contains(&name)
    }

    /// The file with this name, which is one of those that a followed run [has](Self::has).
    ///
    /// # Errors
    /// A file of the run cannot be read.
    pub fn file(&mut self, name: &str) -> Result<ServedFile> {
        if name == NEWS {
            self.news()
        } else {
            self.weights()
        }
    }

    fn weights(&mut self) -> Result<ServedFile> {
        let path = self.folder.weights_path();
        // Before reading: of a file that is replaced in between, the next question finds the new
        // stamp.
        let now = stamp(&path);
        if now.is_none() {
            return Ok(self.first.clone());
        }
        if let Some((_, file)) = self.weights.as_ref().filter(|(held, _)| *held == now) {
            return Ok(file.clone());
        }
        let bytes = fs::read(&path).map_err(|e| {
            Error::file(&path, format!("cannot read the weights: {e}")).caused_by(e)
        })?;
        let file = ServedFile::new(WEIGHTS, bytes);
        self.weights = Some((now, file.clone()));
        Ok(file)
    }

    fn news(&mut self) -> Result<ServedFile> {
        let stamps = RunStamps::of(&self.folder);
        let now = (stamps, stamps.are_silent());
        if let Some((_, file)) = self.news.as_ref().filter(|(held, _)| *held == now) {
            return Ok(file.clone());
        }
        let mut news = self.read(now)?;
        news.weights = self.weights()?.tag.to_str().unwrap_or_default().to_owned();
        news.is_trained = stamps.weights.is_some();
        let text = serde_json::to_vec(&news).map_err(|e| Error::file(self.folder.path(), &e))?;
        let file = ServedFile::new(NEWS, text);
        self.news = Some((now, file.clone()));
        Ok(file)
    }

    /// Reads the settings, the history and the result.
    fn read(&self, (stamps, is_silent): (RunStamps, bool)) -> Result<RunNews> {
        let config = self.folder.config()?;
        if config.model != self.model {
            let nothing = RunOutcome::default();
            return Ok(RunNews::new(
                RunStage::Replaced,
                &config,
                Vec::new(),
                nothing,
            ));
        }
        let history = self.folder.history()?;
        let outcome = match stamps.result_is_last() {
            true => self.folder.outcome()?,
            false => None,
        };
        let stage = match &outcome {
            Some(outcome) => ended(outcome),
            None if is_silent => RunStage::Silent,
            None => RunStage::Training,
        };
        Ok(RunNews::new(
            stage,
            &config,
            history,
            outcome.unwrap_or_default(),
        ))
    }
}

/// The run in a folder, and its network. Before the first epoch has ended, the network has the
/// weights that the run started with.
///
/// # Errors
/// The folder holds no run, or a file cannot be read.
pub fn open(path: &Path) -> Result<(RunFolder, TrainedModel)> {
    let folder = RunFolder::open(path)?;
    if !folder.config_path().exists() {
        let message = "--follow: expected the folder of a run, which has a config.toml";
        return Err(Error::file(path, message));
    }
    let trained = match TrainedModel::open(path) {
        Err(Error::NoWeightsYet { .. }) => before_training(&folder)?,
        trained => trained?,
    };
    Ok((folder, trained))
}

/// The network of a run that has completed no epoch, with the weights that it started with.
fn before_training(folder: &RunFolder) -> Result<TrainedModel> {
    let config = folder.config()?;
    let model = config.model.clone();
    let mut state = State::new(Layout::new(&model)?, config.training.seed);
    if let Some(record) = &config.weights {
        Initial::again(record)?.fill(&mut state)?;
    }
    Ok(TrainedModel {
        model,
        state,
        config: Some(config),
        import: None,
        home: Some(folder.path().to_owned()),
    })
}
