//! `train --resume RUN`: the settings of a run that goes on.

use std::collections::BTreeSet;
use std::path::Path;

use cnn_gpu::run::RunFolder;
use cnn_gpu::run::checkpoint::{Checkpoint, Subject};
use cnn_gpu::train::Options;
use cnn_gpu::{Error, Result};

use super::args::{Args, Settings};

/// Flags that say where and how loudly a run goes on, and may be other ones than before.
const FREE: &[&str] = &[
    "resume",
    "data_dir",
    "verbose",
    "format",
    "backend",
    "adapter",
    "threads",
    "checkpoint_steps",
    "checkpoint_minutes",
];

/// The settings of the run in `folder`, with what was typed of those that are free.
///
/// # Errors
/// There is no such run or no checkpoint in it, or something was typed that differs from the run.
pub fn settings(
    args: Args,
    folder: &Path,
    typed: &BTreeSet<String>,
) -> Result<(Settings, Checkpoint)> {
    let run = RunFolder::open(folder)?;
    let config = run.config()?;
    let checkpoint = Checkpoint::load(&run.checkpoint_path())?;
    let typed: Vec<&str> = (typed.iter().map(String::as_str))
        .filter(|name| !FREE.contains(name))
        .collect();
    let given = Settings::try_from(args)?;
    let settings = Settings {
        dataset: config.dataset.choice()?,
        limit: Some(config.dataset.train_images),
        model: config.model,
        options: Options {
            verbose: given.options.verbose,
            ..config.training
        },
        callbacks: config.callbacks,
        validation_data: config.dataset.validation,
        out: folder.to_owned(),
        data_dir: given.data_dir.clone(),
        format: given.format,
        schedule: given.schedule,
        device: match typed_device(&given) {
            true => given.device.clone(),
            false => given.device.clone().or(&config.device)?,
        },
    };
    refuse_changes(&settings, &given, &typed, &checkpoint.subject)?;
    Ok((settings, checkpoint))
}

fn typed_device(given: &Settings) -> bool {
    given.device.selection() != cnn_gpu::exec::Selection::default()
}

/// What was typed must be what the run has.
fn refuse_changes(
    run: &Settings,
    given: &Settings,
    typed: &[&str],
    subject: &Subject,
) -> Result<()> {
    let table = |options: &Options| toml::Table::try_from(options).unwrap_or_default();
    let (theirs, mut options) = (table(&given.options), table(&run.options));
    let mut other = None;
    for name in typed {
        let key = match *name {
            "learning_rate" | "momentum" | "nesterov" => "optimizer",
            "no_shuffle" => "shuffle",
            name => name,
        };
        let differs = match key {
            "model" => false,
            "dataset" => given.dataset != run.dataset,
            "limit" => given.limit != run.limit,
            "out" => given.out != run.out,
            "validation_data" => given.validation_data != run.validation_data,
            key if options.contains_key(key) || theirs.contains_key(key) => {
                match theirs.get(key) {
                    Some(value) => options.insert(key.into(), value.clone()),
                    None => options.remove(key),
                };
                false
            }
            _ => given.callbacks != run.callbacks,
        };
        if differs {
            other = Some(format!("--{}", name.replace('_', "-")));
        }
    }
    let model = match typed.contains(&"model") {
        true => &given.model,
        false => &run.model,
    };
    let given = Subject {
        model: model.clone(),
        options: options
            .try_into()
            .map_err(|e| Error::Argument(format!("{e}")))?,
        ..subject.clone()
    };
    match subject.difference(&given).or(other) {
        Some(what) => Err(Error::Argument(format!(
            "a run goes on as it began, and {what} would change it; leave it out, or begin a new run \
             with --out"
        ))),
        None => Ok(()),
    }
}
