//! `train --resume RUN`: the settings of a resumed run.

use std::path::Path;

use cnn_gpu::model::{Layer, Sequential, augmentation};
use cnn_gpu::run::RunFolder;
use cnn_gpu::run::checkpoint::{Checkpoint, RunIdentity};
use cnn_gpu::{Error, Result};

use super::args::{Args, TrainSettings};
use super::callback_args::CallbackArgs;
use super::initial::Initial;
use super::kernels::KernelSource;
use super::optimizer_args::OptimizerArgs;
use crate::cli::Typed;
use crate::cli::output::command;
use crate::cli::trained_model::imported;

/// Flags that may differ when a run is resumed: they do not change its result on the same device.
const FREE: &[&str] = &[
    "resume",
    "data_dir",
    "verbose",
    "live",
    "format",
    "backend",
    "adapter",
    "threads",
    "rank_timeout",
    "checkpoint_steps",
    "checkpoint_minutes",
];

/// The settings of the run in `folder`, with the [`FREE`] flags as given now, and its last
/// checkpoint, if it has one.
///
/// # Errors
/// There is no such run, its checkpoint is corrupt, or a flag differs from the run's settings.
pub fn settings(
    args: Args,
    folder: &Path,
    typed: &Typed,
) -> Result<(TrainSettings, Option<Checkpoint>)> {
    let run = RunFolder::open(folder)?;
    if imported(&run).is_some() {
        let message = format!(
            "an imported network: expected a run to resume; `{}` starts one from its weights",
            command("train --weights", folder)
        );
        return Err(Error::file(folder, message));
    }
    let config = run.config()?;
    let path = run.checkpoint_path();
    let checkpoint = if path.exists() {
        Some(Checkpoint::load(&path).map_err(|error| broken(error, &run))?)
    } else {
        None
    };
    let other_device = typed.contains("backend") || typed.contains("adapter");
    let typed: Vec<&str> = (typed.iter().map(String::as_str))
        .filter(|name| !FREE.contains(name))
        .collect();
    let augment = args.network.augment.as_deref().and_then(augmentation);
    let mut args = args;
    // With --model, the models are compared as a whole.
    let freeze = args.network.freeze.take_if(|_| !typed.contains(&"model"));
    let compiled = args.optimizer.compile(config.model.clone())?;
    let given = TrainSettings::new(args, Some(config.training.optimizer))?;
    let devices = config.devices().cloned().collect();
    let settings = TrainSettings {
        data_dir: given.data_dir.clone().or_else(|| config.dataset.folder()),
        dataset: config.dataset.spec()?,
        read: (config.dataset.read_options(config.training.seed))
            .shape(config.model.input_shape)
            .cache(given.read.cache.clone()),
        class_names: config.dataset.class_names.clone(),
        dry_run: false,
        initial: match (&config.weights, &checkpoint) {
            (Some(record), None) => Some(Initial::again(record)?),
            _ => None,
        },
        weights: config.weights,
        continues: None,
        model: config.model,
        options: config.training.verbose(given.options.verbose),
        callbacks: config.callbacks,
        validation_data: config.dataset.validation,
        out_is_named: true,
        out: folder.to_owned(),
        format: given.format,
        schedule: given.schedule,
        device: if other_device {
            given.device.clone()
        } else {
            given.device.clone().or(&config.device)?
        },
        kernels: KernelSource::Recorded(devices),
        without_effect: Vec::new(),
    };
    if let Some(given) = &given.weights {
        let run = settings.weights.as_ref();
        if run.is_none_or(|run| run.hash != given.hash) {
            return Err(changed("--weights"));
        }
        if typed.contains(&"skip_mismatch") && run.is_none_or(|run| !run.skip_mismatch) {
            return Err(changed("--skip-mismatch"));
        }
    }
    if let Some(last) = freeze {
        let frozen = settings.model.clone().freeze_until(&last);
        if frozen.ok().as_ref() != Some(&settings.model) {
            return Err(changed("--freeze"));
        }
    }
    // With --model, the models are compared as a whole.
    let is_in_front = |layers: &Vec<Layer>| {
        let own = settings.model.layers.iter().map(|placed| &placed.layer);
        own.take(layers.len()).eq(layers)
    };
    if !typed.contains(&"model") && !augment.as_ref().is_none_or(is_in_front) {
        return Err(changed("--augment"));
    }
    refuse_changes(&settings, &given, &compiled, &typed)?;
    Ok((settings, checkpoint))
}

/// Adds what to do about a corrupt checkpoint.
fn broken(error: Error, run: &RunFolder) -> Error {
    let Error::File {
        path,
        message,
        source,
    } = error
    else {
        return error;
    };
    let weights = command("train --weights", run.path());
    let remedy = if run.weights_path().exists() {
        format!("the run's last weights are intact: `{weights}` starts a new run from them")
    } else {
        "the run has no weights either: start over with another --out".into()
    };
    Error::File {
        path,
        message: format!("{message}; {remedy}"),
        source,
    }
}

/// Whether a flag is one of these.
fn is_one_of<A: clap::Args>(flag: &str) -> bool {
    let command = A::augment_args(clap::Command::new("flags"));
    command.get_arguments().any(|arg| arg.get_id() == flag)
}

/// Rejects flags that differ from the run's settings. `compiled` is the run's model with the given
/// loss.
fn refuse_changes(
    run: &TrainSettings,
    given: &TrainSettings,
    compiled: &Sequential,
    typed: &[&str],
) -> Result<()> {
    let (theirs, mut options) = (given.options.by_name(), run.options.by_name());
    let mut other = None;
    for name in typed {
        let key = match *name {
            "no_shuffle" => "shuffle",
            "loss" | "label_smoothing" => "model",
            name if is_one_of::<OptimizerArgs>(name) => "optimizer",
            name => name,
        };
        let differs = match key {
            "model" => false,
            "dataset" => given.dataset != run.dataset,
            // The pixels are the same.
            "no_picture_cache" => false,
            // Compared by the caller.
            "weights" | "augment" | "freeze" | "skip_mismatch" => false,
            "limit" => given.read.limit != run.read.limit,
            "skip_unreadable" => given.read.skip_unreadable != run.read.skip_unreadable,
            "interpolation" => given.read.interpolation != run.read.interpolation,
            "out" => given.out != run.out,
            "default_kernels" => run.kernels.is_tuned(),
            "validation_data" => given.validation_data != run.validation_data,
            key if options.contains_key(key) || theirs.contains_key(key) => {
                match theirs.get(key) {
                    Some(value) => options.insert(key.into(), value.clone()),
                    None => options.remove(key),
                };
                false
            }
            key if is_one_of::<CallbackArgs>(key) => given.callbacks != run.callbacks,
            // A flag that is not listed here may change the run.
            _ => true,
        };
        if differs {
            other = Some(format!("--{}", name.replace('_', "-")));
        }
    }
    let identity = |model: &Sequential, options| RunIdentity::new(model.clone(), options, "");
    let model = if typed.contains(&"model") {
        &given.model
    } else {
        compiled
    };
    let options = serde_json::from_value(options.into());
    let options = options.map_err(|e| Error::Argument(format!("{e}")))?;
    let given = identity(model, options);
    let run = identity(&run.model, run.options.clone());
    match run.difference(&given).or(other) {
        Some(what) => Err(changed(&what)),
        None => Ok(()),
    }
}

fn changed(what: &str) -> Error {
    Error::Argument(format!(
        "a resumed run keeps its settings, and {what} would change them; omit it, or start a new run \
         with --out"
    ))
}
