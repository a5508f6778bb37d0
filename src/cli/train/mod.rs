//! `cnn-gpu train`: finds the data and the device, trains, evaluates, and reports.

mod args;
mod report;

use cnn_gpu::Error;
use cnn_gpu::data::Splits;
use cnn_gpu::run::{Config, DataRecord, DeviceRecord, RunFolder};
use cnn_gpu::train::callbacks::JsonlLogger;
use cnn_gpu::train::{Callback, Ending, History, Trainer};

pub use args::Args;

use super::data::{self, described};
use super::device::announce;
use super::exit::Exit;
use super::interrupt::Handler;
use super::output::{self, Format, Results, count, say};
use super::progress::{self, Verbosity};
use args::Settings;
use report::Report;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let settings = Settings::try_from(args)?;
    RunFolder::check_free(&settings.out)?;
    let handler = Handler::install()?;
    // First, as it needs no data: what was typed may not fit the device or the model.
    let (mut trainer, device) = prepare(&settings)?;
    trainer.set_interrupt(handler.interrupt.clone());
    let (splits, record) = load(&settings)?;
    trainer.check(&splits.train)?;
    trainer.check(&splits.test)?;
    let folder = RunFolder::create(&settings.out)?;
    let config = config(&settings, &trainer, record, device);
    folder.write_config(&config)?;
    introduce(&settings, &trainer, &config.device)?;

    let fitted = handler.while_training(|| fit(&settings, &mut trainer, &splits, &folder));
    let history = fitted.map_err(|error| explain(error, &folder))?;
    let interrupted = history.ending == Ending::Interrupted || handler.interrupt.is_raised();
    let scores = match interrupted {
        false => Some(trainer.evaluate(&splits.test)?),
        true => None,
    };
    let report = Report::new(&config, &trainer, &history, scores, &folder);
    folder.write_result(&report)?;
    match settings.format {
        Format::Json => output::print_json(&report)?,
        Format::Text => output::print(&report.text())?,
    }
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        Exit::Success
    })
}

fn load(settings: &Settings) -> anyhow::Result<(Splits, DataRecord)> {
    let quiet = settings.verbosity == Verbosity::Silent;
    let mut loaded = data::load(
        &settings.dataset,
        settings.data_dir.as_deref(),
        Some(settings.model.input_shape),
        quiet,
    )?;
    if let Some(limit) = settings.limit {
        loaded.splits.train = loaded.splits.train.take(limit);
    }
    if !quiet {
        let test = count(loaded.splits.test.len());
        let train = described(&loaded.splits.train);
        say(&format!("data: {train} to train on, {test} to test on"));
    }
    let choice = settings.dataset.to_string();
    let record = DataRecord::new(&choice, loaded.fell_back, &loaded.splits);
    Ok((loaded.splits, record))
}

fn prepare(settings: &Settings) -> anyhow::Result<(Trainer, DeviceRecord)> {
    let device = settings.device.open()?;
    let trainer = Trainer::new(settings.model.clone(), &device, settings.options.clone())?;
    let selection = settings.device.selection();
    let record = DeviceRecord::new(&selection, &device.reason, &trainer.describe());
    Ok((trainer, record))
}

fn config(
    settings: &Settings,
    trainer: &Trainer,
    dataset: DataRecord,
    device: DeviceRecord,
) -> Config {
    Config {
        version: env!("CARGO_PKG_VERSION").into(),
        started: jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d %H:%M:%S %:z")
            .to_string(),
        training: settings.options.clone(),
        dataset,
        device,
        model: trainer.model().clone(),
    }
}

/// Says what will be trained, and where.
fn introduce(settings: &Settings, trainer: &Trainer, device: &DeviceRecord) -> anyhow::Result<()> {
    if settings.verbosity != Verbosity::Silent {
        announce(&trainer.describe(), &device.reason);
        say(trainer.model().summary()?.trim_end());
    }
    Ok(())
}

fn fit(
    settings: &Settings,
    trainer: &mut Trainer,
    splits: &Splits,
    folder: &RunFolder,
) -> cnn_gpu::Result<History> {
    let mut progress = progress::callback(settings.verbosity);
    let mut csv = folder.csv_logger()?;
    let mut jsonl = folder.jsonl_logger()?;
    let mut saver = folder.weights_saver(trainer.model().clone());
    let mut stdout = JsonlLogger::new("standard output", Results::default());
    // Saved first: what is reported is on disk.
    let mut callbacks: Vec<&mut dyn Callback> =
        vec![&mut saver, &mut csv, &mut jsonl, progress.as_mut()];
    if settings.format == Format::Json {
        callbacks.push(&mut stdout);
    }
    trainer.fit_with(&splits.train, &mut callbacks)
}

/// An error of the training run, and what is left of the run.
fn explain(error: Error, folder: &RunFolder) -> anyhow::Error {
    let error = anyhow::Error::new(error);
    match folder.weights_path().exists() {
        true => error.context(format!(
            "training stopped, and the weights of the last whole epoch are in {}",
            folder.path().display()
        )),
        false => error.context("training stopped in its first epoch"),
    }
}
