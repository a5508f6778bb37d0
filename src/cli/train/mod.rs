//! `cnn-gpu train`: opens the device, loads the data, trains, evaluates, and reports.

mod args;
mod callback_args;
mod data;
pub mod find_rate;
mod fit_args;
pub mod initial;
mod kernels;
mod network_args;
mod no_effect;
mod optimizer_args;
mod result;
mod resume;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use cnn_gpu::Error;
use cnn_gpu::data::{Dataset, Splits};
use cnn_gpu::exec::{Device, KernelChoice};
use cnn_gpu::internal::disk;
use cnn_gpu::run::checkpoint::{Checkpoint, Checkpointer, RunIdentity};
use cnn_gpu::run::{Config, DataRecord, DeviceRecord, RunFolder};
use cnn_gpu::state::Layout;
use cnn_gpu::train::callbacks::{EarlyStopping, JsonlLogger};
use cnn_gpu::train::{Callback, Ending, History, Trainer, Verbose};
use cnn_gpu::words::counted;

pub use args::Args;

use super::Typed;
use super::device::{announce, compare_with_cpu, in_words, kind};
use super::exit::Exit;
use super::interrupt::Handler;
use super::output::{self, OutputFormat, Results, command, say};
use super::ranks::{self, MICRO_BATCH, Ranks};
use super::sha256;
use args::TrainSettings;
use no_effect::NoEffect;
use result::RunResult;

/// Runs the command.
pub fn run(args: Args, typed: &Typed) -> anyhow::Result<Exit> {
    let mut ranks = Ranks::start(Duration::from_secs(args.rank_timeout.into()))?;
    let outcome = run_as(args, typed, &mut ranks);
    ranks.end(outcome)
}

/// Runs the command as one of the ranks.
fn run_as(mut args: Args, typed: &Typed, ranks: &mut Ranks) -> anyhow::Result<Exit> {
    if ranks.launched && args.resume.is_none() && args.network.micro_batch.is_none() {
        args.network.micro_batch = Some(MICRO_BATCH);
        say(&format!(
            "micro-batches of {MICRO_BATCH} images, the default under mpirun; a single process gives the same bytes \
             with --micro-batch {MICRO_BATCH}"
        ));
    }
    let resumes = args.resume.clone();
    let (mut settings, checkpoint) = match &resumes {
        None => (TrainSettings::new(args, None)?, None),
        Some(run) => resume::settings(args, run, typed)?,
    };
    if !ranks.is_alone() && settings.options.micro_batch.is_none() {
        return Err(Error::Argument(
            "this run has no micro-batches, which several processes could share; resume it with a single one".into(),
        )
        .into());
    }
    if ranks.launched {
        settings.device.share(ranks.local, ranks.sharers);
    }
    if !ranks.is_first() {
        settings.options.verbose = Verbose::Silent;
    }
    if settings.dry_run {
        return match ranks.is_first() {
            true => data::dry_run(&settings),
            false => Ok(Exit::Success),
        };
    }
    if resumes.is_none() && ranks.is_first() {
        if settings.out_is_named {
            RunFolder::check_free(&settings.out)?;
        }
        // Before the run has a folder, as resuming the run would only repeat the error.
        if let Some(logs) = &settings.callbacks.tensorboard {
            disk::make_folder(logs).map_err(|e| {
                Error::file(logs, format!("cannot make the folder for TensorBoard: {e}"))
            })?;
        }
    }
    let handler = Handler::install()?;
    // Before loading the data, as the settings may not fit the device or the model.
    let (opened, kernels) = settings.kernels.give(settings.device.open()?)?;
    let (mut trainer, device) = prepare(&settings, &opened, ranks.is_alone())?;
    if let Some(initial) = settings.initial.take()
        && let Some(note) = initial.give(&mut trainer, settings.options.optimizer)?
    {
        say(&format!("note: {note}"));
    }
    trainer.set_interrupt(handler.interrupt.clone());
    let (splits, record) = ranks.first_on_rank_0(|| data::load(&settings))?;
    trainer.prepare(&splits.train)?;
    data::check(&settings, &trainer, &splits)?;
    if let Some(note) = data::other_classes(&settings, &splits.train.class_names) {
        say(&format!("note: {note}"));
    }
    let identity = identity(&settings, &trainer, &record);
    // Hashes the program file, which a single process need not do.
    ranks.agree(|| {
        let checkpoint = checkpoint.as_ref();
        facts(&settings, &trainer, &record, checkpoint, &opened.kernels())
    })?;
    if let Some(communicator) = ranks.communicator() {
        trainer.set_communicator(communicator)?;
    }
    if !ranks.is_first() {
        return follow(
            &settings,
            &mut trainer,
            &splits,
            (checkpoint, &identity),
            &handler,
        );
    }
    let (folder, config) = match resumes {
        None => begin(&settings, &trainer, record, device)?,
        Some(_) => resume_run(
            &settings,
            &mut trainer,
            &record,
            device,
            checkpoint,
            &identity,
        )?,
    };
    trainer.set_keeper(Box::new(Checkpointer::new(
        &folder.checkpoint_path(),
        identity,
        &in_words(&trainer.describe()),
        settings.schedule,
    )));
    introduce(&settings, &trainer, (&opened, kernels))?;
    if !ranks.is_alone() && settings.options.verbose != Verbose::Silent {
        say(&format!(
            "{} train together, {} of them on this machine; rank 0 writes the run",
            counted(ranks.size(), "process"),
            ranks.local.1
        ));
        let options = &settings.options;
        ranks.warn_of_idle(options.batch_size, options.micro_batch);
    }
    if settings.options.verbose != Verbose::Silent {
        compare_with_cpu(
            &settings.device,
            &opened,
            &settings.model,
            &settings.options,
        )?;
    }
    let fitted = handler.while_training(|| fit(&settings, &mut trainer, &splits, &folder));
    let history = fitted.map_err(|error| {
        let is_lost = resumes.is_none() && !may_pass(&error);
        let error = explain(error, &settings, &folder);
        if is_lost {
            folder.withdraw();
        }
        error
    })?;
    // An interrupt after training is one of this rank alone.
    let raised = ranks.is_alone() && handler.interrupt.is_raised();
    let interrupted = history.ending == Ending::Interrupted || raised;
    if !interrupted {
        handler.set_exit_message(format!(
            "training has finished and the weights are saved; `{}` evaluates them",
            command("evaluate", folder.path())
        ));
    }
    conclude(
        &settings,
        &mut trainer,
        (&folder, &config),
        &history,
        (!interrupted).then_some(&splits.test),
    )
    .with_context(|| {
        let what = if interrupted {
            "training was interrupted"
        } else {
            "training has finished"
        };
        format!("{what}, and its weights are in {}", folder.path().display())
    })?;
    Ok(if interrupted {
        Exit::Interrupted
    } else {
        Exit::Success
    })
}

/// Trains along with rank 0, which writes the run.
fn follow(
    settings: &TrainSettings,
    trainer: &mut Trainer,
    splits: &Splits,
    (checkpoint, identity): (Option<Checkpoint>, &RunIdentity),
    handler: &Handler,
) -> anyhow::Result<Exit> {
    // Those that decide, and none that writes.
    let mut record = settings.callbacks.clone();
    (record.checkpoint_best, record.tensorboard) = (None, None);
    let mut chosen = record.callbacks(Path::new(""), trainer.model())?;
    if let Some(checkpoint) = checkpoint {
        if let Some(what) = checkpoint.identity.difference(identity) {
            return Err(differs(&what));
        }
        let mut snapshot = checkpoint.snapshot;
        let is_here = |name: &str| chosen.iter().any(|callback| callback.name() == name);
        snapshot.callback_states.retain(|(name, _)| is_here(name));
        trainer.resume(snapshot)?;
    }
    let mut callbacks: Vec<&mut dyn Callback> = chosen
        .iter_mut()
        .map(|callback| callback.as_mut() as _)
        .collect();
    let data = data::training_data(settings, splits);
    let history = handler.while_training(|| trainer.fit_with(data, &mut callbacks))?;
    if history.ending == Ending::Interrupted {
        return Ok(Exit::Interrupted);
    }
    trainer.evaluate(&splits.test)?;
    Ok(Exit::Success)
}

/// What all ranks must have in common, by name.
fn facts(
    settings: &TrainSettings,
    trainer: &Trainer,
    record: &DataRecord,
    checkpoint: Option<&Checkpoint>,
    kernels: &KernelChoice,
) -> anyhow::Result<Vec<(String, String)>> {
    let kind = kind(&in_words(&trainer.describe()));
    let state = checkpoint.map_or(trainer.state(), |checkpoint| &checkpoint.snapshot.state);
    let mut facts = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("binary", ranks::binary()),
        ("model", sha256::of(&serde_json::to_vec(trainer.model())?)),
    ];
    let options = settings.options.by_name();
    let options: Vec<_> = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_string()))
        .collect();
    facts.extend(options);
    facts.extend([
        ("kind of device", kind),
        ("choice of kernels", serde_json::to_string(&kernels)?),
        ("training set", record.train_fingerprint.clone()),
        ("test set", record.test_fingerprint.clone()),
        (
            "validation set",
            record.validation_fingerprint.clone().unwrap_or_default(),
        ),
        ("callback", serde_json::to_string(&settings.callbacks)?),
        ("first step", state.step.to_string()),
        ("set of weights", state.weights_hash()),
    ]);
    let named = facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Ok(named.collect())
}

/// Creates the folder and the settings of a new run.
fn begin(
    settings: &TrainSettings,
    trainer: &Trainer,
    record: DataRecord,
    device: DeviceRecord,
) -> anyhow::Result<(RunFolder, Config)> {
    let folder = if settings.out_is_named {
        RunFolder::create(&settings.out)?
    } else {
        RunFolder::create_numbered(&settings.out)?
    };
    let config = config(settings, trainer, record, device);
    folder.write_config(&config)?;
    Ok((folder, config))
}

/// Opens the folder and the settings of a resumed run, and restores the trainer from its
/// checkpoint.
fn resume_run(
    settings: &TrainSettings,
    trainer: &mut Trainer,
    record: &DataRecord,
    device: DeviceRecord,
    checkpoint: Option<Checkpoint>,
    identity: &RunIdentity,
) -> anyhow::Result<(RunFolder, Config)> {
    let folder = RunFolder::open(&settings.out)?.locked()?;
    let saved = folder.config()?;
    if let Some(what) = saved.dataset.difference(record) {
        return Err(differs(&what));
    }
    // A finished run trains nothing on this device.
    let mut config = saved.clone();
    match checkpoint {
        Some(checkpoint) => {
            if !has_ended(&checkpoint) {
                config.continue_on(device);
            }
            restore(trainer, &folder, checkpoint, identity)?;
        }
        None => {
            folder.cut_histories(0)?;
            say("the run has no checkpoint yet and starts over");
            config.continued_on.clear();
            config.device = device;
        }
    }
    if config != saved {
        folder.write_config(&config)?;
    }
    Ok((folder, config))
}

/// Evaluates on `test`, if given, and reports.
fn conclude(
    settings: &TrainSettings,
    trainer: &mut Trainer,
    (folder, config): (&RunFolder, &Config),
    history: &History,
    test: Option<&Dataset>,
) -> anyhow::Result<()> {
    let scores = test.map(|test| trainer.evaluate(test)).transpose()?;
    let report = RunResult::new(config, trainer, history, scores, folder);
    folder.write_result(&report)?;
    match settings.format {
        OutputFormat::Json => output::print_json(&report),
        OutputFormat::Text => output::print(&report.text()),
    }
}

/// What must be equal when the run is resumed.
fn identity(settings: &TrainSettings, trainer: &Trainer, record: &DataRecord) -> RunIdentity {
    let validated = || match &record.validation_fingerprint {
        Some(own) => own.clone(),
        None => record.test_fingerprint.clone(),
    };
    let (model, options) = (trainer.model().clone(), settings.options.clone());
    let mut identity = RunIdentity::new(model, options, &record.train_fingerprint);
    identity.validation_fingerprint = settings.validation_data.as_ref().map(|_| validated());
    identity
}

/// Whether the run had finished when the checkpoint was written.
fn has_ended(checkpoint: &Checkpoint) -> bool {
    checkpoint.snapshot.epochs_done >= checkpoint.snapshot.last_epoch
}

/// Restores the trainer from the checkpoint, and prints where it continues.
fn restore(
    trainer: &mut Trainer,
    folder: &RunFolder,
    checkpoint: Checkpoint,
    identity: &RunIdentity,
) -> anyhow::Result<()> {
    if let Some(what) = checkpoint.identity.difference(identity) {
        return Err(differs(&what));
    }
    let (here, there) = (in_words(&trainer.describe()), &checkpoint.device);
    let ended = has_ended(&checkpoint);
    if kind(&here) != kind(there) && !ended {
        say(&format!(
            "note: the run was trained on {there} and continues on {here}; its weights will not be \
             bit-identical to those of a single device"
        ));
    }
    let snapshot = checkpoint.snapshot;
    folder.cut_histories(snapshot.history.len())?;
    say(&format!(
        "resuming after {}, {} of {}",
        counted(snapshot.state.step, "step"),
        counted(snapshot.epochs_done, "complete epoch"),
        snapshot.last_epoch
    ));
    if ended {
        say("note: the run has already finished; --weights starts a new run from its weights");
    }
    Ok(trainer.resume(snapshot)?)
}

/// The error for a run whose settings or data are no longer those that it began with.
fn differs(what: &str) -> anyhow::Error {
    Error::Argument(format!(
        "a resumed run keeps its settings, and this differs: {what}"
    ))
    .into()
}

/// The trainer. Only one that trains alone reopens a lost device: others would wait meanwhile.
fn prepare(
    settings: &TrainSettings,
    device: &Device,
    recovers: bool,
) -> anyhow::Result<(Trainer, DeviceRecord)> {
    let layout = Layout::new(&settings.model)?;
    let (model, options) = (settings.model.clone(), settings.options.clone());
    let trainer = if recovers {
        let executor = device.recovering(layout, |why| {
            say(&format!(
                "warning: THE DEVICE WAS LOST ({why}); reopening it and repeating the steps since the last \
                 copy of the weights"
            ));
        });
        Trainer::with_executor(model, executor, options)?
    } else {
        Trainer::new(model, device, options)?
    };
    let selection = settings.device.selection();
    let mut record = DeviceRecord::new(&selection, &device.reason, &trainer.describe());
    record.kernels = device.kernels();
    Ok((trainer, record))
}

fn config(
    settings: &TrainSettings,
    trainer: &Trainer,
    dataset: DataRecord,
    device: DeviceRecord,
) -> Config {
    let started = jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S %:z");
    let (options, model) = (settings.options.clone(), trainer.model().clone());
    let mut config = Config::new(started.to_string(), options, dataset, device, model);
    config.callbacks = settings.callbacks.clone();
    config.weights = settings.weights.clone();
    config.command = command_line();
    config
}

/// The command line, with the program's name instead of its path.
fn command_line() -> Vec<String> {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| word.to_string_lossy().into_owned());
    std::iter::once("cnn-gpu".to_owned()).chain(words).collect()
}

/// Prints the device, a note on its kernels, the model and the initial weights.
fn introduce(
    settings: &TrainSettings,
    trainer: &Trainer,
    (opened, kernels): (&Device, Option<String>),
) -> anyhow::Result<()> {
    if settings.options.verbose != Verbose::Silent {
        announce(&trainer.describe(), opened);
        if let Some(kernels) = kernels {
            say(&kernels);
        }
        say(trainer.model().summary()?.trim_end());
        if let Some(weights) = &settings.weights {
            say(&format!("weights: {}", weights.path.display()));
        }
        if let Some(continues) = &settings.continues {
            say(&format!("optimizer: {continues}"));
        }
    }
    Ok(())
}

fn fit(
    settings: &TrainSettings,
    trainer: &mut Trainer,
    splits: &Splits,
    folder: &RunFolder,
) -> cnn_gpu::Result<History> {
    let mut chosen = settings
        .callbacks
        .callbacks(&folder.best_path(), trainer.model())?;
    let mut csv = folder.csv_logger()?;
    let mut jsonl = folder.jsonl_logger()?;
    let mut saver = folder.weights_saver(trainer.model().clone());
    let mut stdout = JsonlLogger::new("standard output", Results::default());
    // The savers come first, so that whatever is reported is on disk.
    let mut without_effect = NoEffect {
        settings,
        data: data::training_data(settings, splits),
    };
    let mut callbacks: Vec<&mut dyn Callback> =
        vec![&mut without_effect, &mut saver, &mut csv, &mut jsonl];
    callbacks.extend(chosen.iter_mut().map(|callback| callback.as_mut() as _));
    if settings.format == OutputFormat::Json {
        callbacks.push(&mut stdout);
    }
    trainer.fit_with(data::training_data(settings, splits), &mut callbacks)
}

/// Adds to an error what is left of the run, and how to resume it.
fn explain(error: Error, settings: &TrainSettings, folder: &RunFolder) -> anyhow::Error {
    let stopping = settings.callbacks.early_stopping.as_ref();
    let which = if stopping.is_some_and(EarlyStopping::restores) {
        "best"
    } else {
        "last complete"
    };
    let path = folder.path().display();
    let left = if !folder.path().exists() {
        format!(", and {path} no longer exists")
    } else if folder.weights_path().exists() {
        format!(", and the weights of the {which} epoch are in {path}")
    } else if folder.checkpoint_path().exists() {
        " in its first epoch".into()
    } else {
        " in its first epoch, before any weights were saved".into()
    };
    let how = if folder.config_path().exists() && may_pass(&error) {
        format!(
            "; `{}` resumes it",
            command("train --resume", folder.path())
        )
    } else {
        String::new()
    };
    anyhow::Error::new(error).context(format!("training stopped{left}{how}"))
}

/// Whether resuming the run may help, once there is room or the device is back.
fn may_pass(error: &Error) -> bool {
    matches!(
        error,
        Error::File { .. }
            | Error::Device { .. }
            | Error::Rank(_)
            | Error::NoAdapter(_)
            | Error::DeviceLost(_)
            | Error::DeviceHung(_)
            | Error::OutOfMemory(_)
    )
}

#[cfg(test)]
mod tests;
