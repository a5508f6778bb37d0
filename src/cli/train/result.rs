//! The result of a run, as text and as JSON.

use std::path::Path;

use cnn_gpu::run::{Config, DeviceRecord, RunFolder};
use cnn_gpu::train::callbacks::short_time as time;
use cnn_gpu::train::{Ending, Evaluation, History, Trainer};
use cnn_gpu::words::counted;
use serde::Serialize;

use crate::cli::output::{accuracy, command, count};

/// What `train` prints at the end, and writes to the run folder as `result.json`.
#[derive(Debug, Serialize)]
pub struct RunResult {
    /// Null if the run was interrupted.
    test_loss: Option<f64>,
    /// Null if the run was interrupted.
    test_accuracy: Option<f64>,
    #[serde(skip)]
    scores: Option<Evaluation>,
    interrupted: bool,
    ending: Ending,
    /// Why a callback stopped the run, if one did.
    stop_reason: Option<String>,
    /// The epoch whose weights were restored, if any were.
    restored_epoch: Option<usize>,
    epochs: usize,
    steps: u64,
    epoch_seconds: Vec<f64>,
    images_per_second: f64,
    weights_hash: String,
    backend: String,
    adapter: String,
    driver: String,
    software: bool,
    /// The adapters, in order, of a run that was resumed on another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    adapters: Vec<String>,
    model: String,
    parameters: usize,
    dataset: String,
    dataset_source: String,
    dataset_fell_back: bool,
    train_images: usize,
    batch_size: usize,
    optimizer: String,
    loss: String,
    seed: u64,
    version: String,
    run: String,
}

impl RunResult {
    /// Collects the result; there are no scores if the run was interrupted.
    pub fn new(
        config: &Config,
        trainer: &Trainer,
        history: &History,
        scores: Option<Evaluation>,
        folder: &RunFolder,
    ) -> Self {
        let parameters = &trainer.state().layout.parameters;
        let (device, data) = (config.last_device().clone(), config.dataset.clone());
        let named = |device: &DeviceRecord| format!("{} ({})", device.adapter, device.backend);
        let adapters = if config.continued_on.is_empty() {
            Vec::new()
        } else {
            config.devices().map(named).collect()
        };
        Self {
            test_loss: scores.map(|s| s.loss),
            test_accuracy: scores.map(|s| s.accuracy),
            interrupted: scores.is_none(),
            scores,
            ending: history.ending,
            stop_reason: history.reason.clone(),
            restored_epoch: history.restored_epoch,
            epochs: history.epochs.len(),
            steps: trainer.state().step,
            epoch_seconds: history.epoch_seconds(),
            images_per_second: history.images_per_second(),
            weights_hash: trainer.state().weights_hash(),
            backend: device.backend,
            adapter: device.adapter,
            driver: device.driver,
            software: device.software,
            adapters,
            model: config.model.name.clone(),
            parameters: parameters.iter().map(|p| p.len()).sum(),
            dataset: data.name,
            dataset_source: data.source,
            dataset_fell_back: data.fell_back,
            train_images: data.train_images,
            batch_size: config.training.batch_size,
            optimizer: config.training.optimizer.name().into(),
            loss: config.model.loss.name().into(),
            seed: config.training.seed,
            version: config.version.clone(),
            run: folder.path().display().to_string(),
        }
    }

    /// The result as a few lines of text.
    pub fn text(&self) -> String {
        let rows = [
            ("test loss", self.scores.map(|s| format!("{:.4}", s.loss))),
            (
                "test accuracy",
                self.scores.map(|s| accuracy(&s, &self.dataset)),
            ),
            ("interrupted", self.interrupted.then(|| self.interruption())),
            (
                "resume with",
                self.interrupted
                    .then(|| command("train --resume", Path::new(&self.run))),
            ),
            ("stopped", self.stop_reason.clone()),
            ("history", self.emptiness()),
            ("devices", self.moves()),
            ("restored", self.restored()),
            ("time per epoch", self.times()),
            ("weights hash", Some(self.weights_hash.clone())),
            ("run folder", Some(self.run.clone())),
        ];
        let mut out = String::new();
        for (name, value) in rows {
            if let Some(value) = value {
                out += &format!("{name:<15} {value}\n");
            }
        }
        out
    }

    fn interruption(&self) -> String {
        let steps = counted(self.steps, "step");
        format!("after {steps}; the weights are saved")
    }

    /// Why the history is empty, if it is.
    fn emptiness(&self) -> Option<String> {
        let words = "no epoch was completed, so history.csv has no line below its header";
        (self.epochs == 0).then(|| words.into())
    }

    fn moves(&self) -> Option<String> {
        (!self.adapters.is_empty()).then(|| self.adapters.join(", then "))
    }

    fn restored(&self) -> Option<String> {
        let epoch = self.restored_epoch?;
        Some(format!("the weights of epoch {epoch}"))
    }

    fn times(&self) -> Option<String> {
        let seconds = self.epoch_seconds.iter().copied();
        let (shortest, longest) = (
            seconds.clone().reduce(f64::min)?,
            seconds.clone().reduce(f64::max)?,
        );
        let mean = seconds.sum::<f64>() / self.epochs as f64;
        let spread = match self.epochs {
            1 => String::new(),
            _ => format!(" ({} to {})", time(shortest), time(longest)),
        };
        let speed = count(self.images_per_second.round() as u64);
        Some(format!("{}{spread}, {speed} images/s", time(mean)))
    }
}
