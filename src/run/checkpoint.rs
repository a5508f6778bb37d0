//! `checkpoint.safetensors`: a training run at one step, in one file.
//!
//! Tensors: `params`, `m`, `v` and, where the optimizer keeps one, `average`, the flat arrays of
//! [`State`], and `memory/N/NAME`, the arrays in the state of callback `N`. The metadata holds
//! `checkpoint`, a JSON object with everything else, and `sha256`, a digest of that object's text
//! and of the tensors' bytes. The file is replaced atomically, so the last good one survives any
//! failure while the next one is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::tensors::{floats, le_bytes, parse};
use crate::disk;
use crate::error::{Error, FormatError, Result};
use crate::model::Sequential;
use crate::state::{Layout, State, hex};
use crate::train::callbacks::CallbackState;
use crate::train::{EpochLogs, Keeper, Options, PartialEpoch, Position, Snapshot};

/// The version of the file format; other versions are refused.
const FORMAT: u32 = 1;

/// What must be equal for a run to continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunIdentity {
    /// The model.
    pub model: Sequential,
    /// The training options.
    pub options: Options,
    /// SHA-256 of the training images and labels.
    pub train_fingerprint: String,
    /// SHA-256 of the validation images and labels, if they are a separate set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_fingerprint: Option<String>,
}

impl RunIdentity {
    /// The identity of a run that trains on images with this fingerprint.
    pub fn new(model: Sequential, options: Options, train_fingerprint: impl Into<String>) -> Self {
        Self {
            model,
            options,
            train_fingerprint: train_fingerprint.into(),
            validation_fingerprint: None,
        }
    }

    /// The first difference from `other`, a run to be resumed from this checkpoint.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (ours, theirs) = (self.options.by_name(), other.options.by_name());
        let names = ours
            .keys()
            .chain(theirs.keys().filter(|k| !ours.contains_key(*k)));
        let mut options = names.filter(|name| ours.get(*name) != theirs.get(*name));
        if self.model != other.model {
            return Some("the model".into());
        }
        if self.train_fingerprint != other.train_fingerprint {
            return Some("the training images".into());
        }
        if self.validation_fingerprint != other.validation_fingerprint {
            return Some("the validation images".into());
        }
        let text = |value: Option<&serde_json::Value>| match value {
            None | Some(serde_json::Value::Null) => "unset".to_owned(),
            Some(value) => value.to_string(),
        };
        options.next().map(|name| {
            let (ours, theirs) = (text(ours.get(name)), text(theirs.get(name)));
            format!("{name} ({theirs} instead of {ours})")
        })
    }
}

/// A run's identity and position.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The run's identity.
    pub identity: RunIdentity,
    /// The device, in words. Continuing on another device is allowed, but gives different bytes.
    pub device: String,
    /// The run's position.
    pub snapshot: Snapshot,
}

#[derive(Serialize, Deserialize)]
struct CheckpointHeader {
    format: u32,
    version: String,
    #[serde(rename = "subject")]
    identity: RunIdentity,
    device: String,
    step: u64,
    epochs_done: usize,
    #[serde(rename = "under_way")]
    partial_epoch: Option<PartialEpoch>,
    last_epoch: usize,
    stopped: bool,
    history: Vec<EpochLogs>,
    #[serde(rename = "memories")]
    callback_states: Vec<(String, serde_json::Value)>,
}

/// The part of the header common to all formats.
#[derive(Default, Deserialize)]
struct Versioned {
    format: Option<u32>,
}

impl Checkpoint {
    /// Reads the file.
    ///
    /// # Errors
    /// One line: a missing file, a file that is not a checkpoint or has another format, bytes that
    /// changed since it was written, or tensors that do not fit the model.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).map_err(|e| {
            Error::file(path, format!("cannot read the checkpoint: {e}")).caused_by(e)
        })?;
        Self::from_bytes(&bytes).map_err(|e| e.at(path))
    }

    /// Like [`Checkpoint::load`], from the file's contents. In addition to the contents, only the
    /// arrays take memory, as much as in the file.
    ///
    /// # Errors
    /// As [`Checkpoint::load`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FormatError> {
        let sealed = Sealed::parse(bytes)?;
        if sealed.digest() != sealed.sha256 {
            return Err(
                "the checkpoint has changed since it was written: its digest differs".into(),
            );
        }
        sealed.header()?.into_checkpoint(&sealed.tensors)
    }
}

/// The digest that a checkpoint with these contents must have.
///
/// # Errors
/// The contents are not a checkpoint's.
pub fn digest_of(bytes: &[u8]) -> Result<String, FormatError> {
    Sealed::parse(bytes).map(|sealed| sealed.digest())
}

/// The parts of a file before parsing.
struct Sealed<'a> {
    header: String,
    sha256: String,
    tensors: SafeTensors<'a>,
}

impl<'a> Sealed<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, FormatError> {
        let (tensors, mut metadata) = parse(bytes)?;
        let mut entry = |key: &str| {
            metadata
                .remove(key)
                .ok_or("not a checkpoint: it lacks its metadata")
        };
        Ok(Self {
            header: entry("checkpoint")?,
            sha256: entry("sha256")?,
            tensors,
        })
    }

    fn digest(&self) -> String {
        let mut data: Vec<(&str, &[u8])> = (self.tensors.iter())
            .map(|(name, view)| (name, view.data()))
            .collect();
        data.sort_unstable();
        digest(&self.header, data.into_iter())
    }

    fn header(&self) -> Result<CheckpointHeader, FormatError> {
        let Versioned { format } = serde_json::from_str(&self.header).unwrap_or_default();
        if format != Some(FORMAT) {
            return Err(format!(
                "a checkpoint in another format: expected {FORMAT}, found {}",
                format.map_or("none".into(), |format| format.to_string())
            )
            .into());
        }
        serde_json::from_str(&self.header)
            .map_err(|e| FormatError::from_cause(e).within("its metadata is invalid"))
    }
}

impl CheckpointHeader {
    /// Rejects counts that no run reaches, whose difference would overflow.
    fn check_counts(&self) -> Result<(), FormatError> {
        let partial_epoch = self.partial_epoch.unwrap_or_default();
        let holds = partial_epoch.steps as u64 <= self.step
            && partial_epoch.mean.steps == partial_epoch.steps
            && self.history.len() <= self.epochs_done;
        if holds {
            Ok(())
        } else {
            Err("its numbers of steps and epochs contradict each other".into())
        }
    }

    fn into_checkpoint(self, tensors: &SafeTensors<'_>) -> Result<Checkpoint, FormatError> {
        self.check_counts()?;
        let layout = Layout::new(&self.identity.model).map_err(FormatError::from_cause)?;
        let mut callback_states = Vec::new();
        for (i, (name, values)) in self.callback_states.into_iter().enumerate() {
            let prefix = format!("memory/{i}/");
            let arrays = (tensors.names().into_iter())
                .filter_map(|tensor| Some((tensor.strip_prefix(&prefix)?, tensor)))
                .map(|(array, tensor)| Ok((array.to_owned(), floats(tensors, tensor)?.collect())))
                .collect::<Result<_, FormatError>>()?;
            callback_states.push((name, CallbackState { values, arrays }));
        }
        let arena = |name| -> Result<Vec<f32>, FormatError> {
            let values = floats(tensors, name)?;
            if values.len() == layout.len {
                Ok(values.collect())
            } else {
                Err(format!(
                    "`{name}` has {} values, and the model needs {}",
                    values.len(),
                    layout.len
                )
                .into())
            }
        };
        let state = State {
            params: arena("params")?,
            m: arena("m")?,
            v: arena("v")?,
            average: match self.identity.options.optimizer.ema_momentum {
                Some(_) => arena("average")?,
                None => Vec::new(),
            },
            step: self.step,
            layout: Arc::clone(&layout),
        };
        Ok(Checkpoint {
            identity: self.identity,
            device: self.device,
            snapshot: Snapshot {
                state,
                epochs_done: self.epochs_done,
                partial_epoch: self.partial_epoch,
                last_epoch: self.last_epoch,
                stopped: self.stopped,
                history: self.history,
                callback_states,
            },
        })
    }
}

fn to_bytes(
    identity: &RunIdentity,
    device: &str,
    snapshot: &Snapshot,
) -> Result<Vec<u8>, FormatError> {
    let callback_states = snapshot.callback_states.iter();
    let header = CheckpointHeader {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        identity: identity.clone(),
        device: device.to_owned(),
        step: snapshot.state.step,
        epochs_done: snapshot.epochs_done,
        partial_epoch: snapshot.partial_epoch,
        last_epoch: snapshot.last_epoch,
        stopped: snapshot.stopped,
        history: snapshot.history.clone(),
        callback_states: callback_states
            .map(|(n, m)| (n.clone(), m.values.clone()))
            .collect(),
    };
    let header = serde_json::to_string(&header).map_err(FormatError::from_cause)?;
    let averages = identity.options.optimizer.ema_momentum.is_some();
    let tensors = tensors(snapshot, averages);
    let digest = digest(
        &header,
        tensors
            .iter()
            .map(|(name, data)| (name.as_str(), &data[..])),
    );
    let views: Result<Vec<_>, _> = (tensors.iter())
        .map(|(name, data)| {
            let view = TensorView::new(Dtype::F32, vec![data.len() / 4], data)?;
            Ok((name.as_str(), view))
        })
        .collect();
    let metadata = [
        ("checkpoint".to_owned(), header),
        ("sha256".to_owned(), digest),
    ];
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata.into())))
        .map_err(FormatError::from_cause)
}

/// The arrays, sorted by name.
fn tensors(snapshot: &Snapshot, averages: bool) -> Vec<(String, Vec<u8>)> {
    let state = &snapshot.state;
    let mut tensors = vec![
        ("params".to_owned(), le_bytes(&state.params)),
        ("m".to_owned(), le_bytes(&state.m)),
        ("v".to_owned(), le_bytes(&state.v)),
    ];
    if averages {
        tensors.push(("average".to_owned(), le_bytes(&state.average)));
    }
    for (i, (_, state)) in snapshot.callback_states.iter().enumerate() {
        for (name, values) in &state.arrays {
            tensors.push((format!("memory/{i}/{name}"), le_bytes(values)));
        }
    }
    tensors.sort();
    tensors
}

fn digest<'a>(header: &str, tensors: impl Iterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = Sha256::new();
    hasher.update(header);
    for (name, data) in tensors {
        hasher.update(name);
        hasher.update(data);
    }
    hex(&hasher.finalize())
}

/// When to write checkpoints in addition to those at the end of each epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckpointSchedule {
    /// After this many steps.
    pub steps: Option<usize>,
    /// After this much time.
    pub every: Option<Duration>,
}

impl Default for CheckpointSchedule {
    /// Every minute.
    fn default() -> Self {
        Self {
            steps: None,
            every: Some(Duration::from_secs(60)),
        }
    }
}

impl CheckpointSchedule {
    /// Sets after how many steps to write a checkpoint; `None` never does.
    #[must_use]
    pub fn steps(mut self, steps: impl Into<Option<usize>>) -> Self {
        self.steps = steps.into();
        self
    }

    /// Sets after how much time to write a checkpoint; `None` never does.
    #[must_use]
    pub fn every(mut self, every: impl Into<Option<Duration>>) -> Self {
        self.every = every.into();
        self
    }
}

/// Keeps a run's checkpoint up to date.
pub struct Checkpointer {
    path: PathBuf,
    identity: RunIdentity,
    device: String,
    schedule: CheckpointSchedule,
    kept: Instant,
}

impl Checkpointer {
    /// A checkpointer that writes to `path`.
    pub fn new(
        path: &Path,
        identity: RunIdentity,
        device: &str,
        schedule: CheckpointSchedule,
    ) -> Self {
        Self {
            path: path.to_owned(),
            identity,
            device: device.into(),
            schedule,
            kept: Instant::now(),
        }
    }
}

impl Keeper for Checkpointer {
    fn is_due(&mut self, position: &Position) -> bool {
        let CheckpointSchedule { steps, every } = self.schedule;
        steps.is_some_and(|steps| position.step.is_multiple_of(steps))
            || every.is_some_and(|every| self.kept.elapsed() >= every)
    }

    fn keep(&mut self, snapshot: &Snapshot) -> Result<()> {
        let path = &self.path;
        let bytes = to_bytes(&self.identity, &self.device, snapshot).map_err(|e| e.at(path))?;
        disk::replace(path, &bytes).map_err(|e| {
            Error::file(path, format!("cannot write the checkpoint: {e}")).caused_by(e)
        })?;
        self.kept = Instant::now();
        Ok(())
    }
}
