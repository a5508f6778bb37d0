//! `cnn-gpu tune`: which kernels are the fastest on this adapter?

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use cnn_gpu::Error;
use cnn_gpu::exec::{Description, KernelChoice};
use cnn_gpu::internal::disk;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
use cnn_gpu::tune::{TrialOutcome, TunedKernels, Tuner, TuningReport, TuningTrial};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::columns::columns;
use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::model;
use super::output::{self, OutputFormat, say};

/// Find the kernels with which a GPU trains fastest, and keep them for `train`
///
/// Measures settings of the kernels one after the other, each against the best so far, on a training
/// step of noise. Kernels with which the model's first steps differ from those with the plain kernels
/// are refused; `selfcheck` checks the choice on all operations. It is kept in the user's cache folder
/// for this adapter, driver and version of the program, and `train` takes it. A later search begins
/// with it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A preset (mnist-cnn, mnist-small, mnist-best, mnist-mlp, resnet20), a TOML file, a run folder, an imported folder or a
    /// model.safetensors file
    #[arg(long, default_value = "mnist-cnn")]
    model: String,

    /// Images per step
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    batch_size: usize,

    /// Time for the search; slow compilers and large batches take longer
    #[arg(long, value_name = "S", default_value_t = 20, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,

    /// Measure only, and keep nothing
    #[arg(long, conflicts_with = "forget")]
    dry_run: bool,

    /// Forget the choice for this adapter: `train` takes the default kernels again
    #[arg(long, conflicts_with_all = ["model", "batch_size", "seconds", "format"])]
    forget: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,

    #[command(flatten)]
    device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu tune
  cnn-gpu tune --backend vulkan --model cifar.toml --batch-size 128 --seconds 60
  cnn-gpu tune --backend vulkan --forget";

/// What is printed as JSON.
#[derive(Serialize)]
struct TuneRecord<'a> {
    version: &'static str,
    device: &'a Description,
    model: &'a str,
    batch_size: usize,
    speed: f64,
    /// The file that keeps the choice; null if nothing was kept.
    file: Option<&'a Path>,
    #[serde(flatten)]
    report: &'a TuningReport,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let (model, _) = model::load(&args.model)?;
    // Before opening a device, as the arguments may be invalid.
    let training = Purpose::Training(Optimizer::default());
    Plan::new(&model, training, args.batch_size)?;
    let device = args.device.open()?;
    let description = device.describe();
    let tuner = Tuner::new(&device, &model, args.batch_size)?;
    // Before the search, which would be lost.
    let folder = (!args.dry_run).then(folder).transpose()?;
    if let (true, Some(folder)) = (args.forget, &folder) {
        return forget(folder, &description);
    }
    announce(&description, &device);
    let earlier = remembered(&description);
    let start = earlier.as_ref().map(|earlier| earlier.kernels.clone());
    let report = search(&tuner, &start.unwrap_or_default(), args.seconds)?;
    let kept = folder.map(|folder| {
        let network = (model.name.as_str(), args.batch_size);
        keep(&folder, network, &description, &report)
    });
    // The report first, as keeping it may have failed.
    let (file, failure) = match kept.transpose() {
        Ok(file) => (file.flatten(), None),
        Err(failure) => (None, Some(failure)),
    };
    match args.format {
        OutputFormat::Text => output::print(&text(&report, file.as_deref()))?,
        OutputFormat::Json => output::print_json(&TuneRecord {
            version: env!("CARGO_PKG_VERSION"),
            device: &description,
            model: &model.name,
            batch_size: args.batch_size,
            speed: report.speed(),
            file: file.as_deref(),
            report: &report,
        })?,
    }
    let is_removed = report.kernels.is_empty() && !args.dry_run && failure.is_none();
    if let Some(earlier) = earlier.filter(|_| is_removed) {
        say(&format!(
            "note: the choice of {} for {} is no longer faster, and was removed",
            earlier.tuned, earlier.model
        ));
    }
    failure.map_or(Ok(Exit::Success), Err)
}

fn search(tuner: &Tuner<'_>, start: &KernelChoice, seconds: u16) -> cnn_gpu::Result<TuningReport> {
    // Drawn on a terminal only.
    let bar = ProgressBar::new(seconds.into());
    if let Ok(style) = ProgressStyle::with_template("{bar:20.green} {elapsed}  {wide_msg}") {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.set_message("compiling the plain and the default kernels");
    bar.enable_steady_tick(Duration::from_millis(100));
    let time = Duration::from_secs(seconds.into());
    let report = tuner.run(start, time, &mut |trial: &TuningTrial| {
        bar.set_position(bar.elapsed().as_secs().min(seconds.into()));
        let outcome = in_words(&trial.outcome);
        bar.set_message(format!("{} {}: {outcome}", trial.setting, trial.value));
    });
    bar.finish_and_clear();
    report
}

/// The folder of the choices, created if it is missing.
fn folder() -> anyhow::Result<PathBuf> {
    let folder = TunedKernels::folder()
        .context("no home folder, whose cache would keep the choice: set HOME, or add --dry-run")?;
    disk::make_folder(&folder)
        .map_err(|e| Error::file(&folder, format!("cannot make the folder: {e}")))?;
    Ok(folder)
}

/// Keeps the choice, or forgets an earlier one if the default kernels are the fastest.
fn keep(
    folder: &Path,
    (model, batch_size): (&str, usize),
    device: &Description,
    report: &TuningReport,
) -> anyhow::Result<Option<PathBuf>> {
    if report.kernels.is_empty() {
        TunedKernels::forget(folder, device)?;
        return Ok(None);
    }
    let now = jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S %:z");
    let choice = (report.kernels.clone(), report.speed());
    let tuned = TunedKernels::new(device, now.to_string(), (model, batch_size), choice);
    Ok(Some(tuned.save(folder)?))
}

fn forget(folder: &Path, device: &Description) -> anyhow::Result<Exit> {
    let Description {
        adapter, backend, ..
    } = device;
    say(&match TunedKernels::forget(folder, device)? {
        true => format!("`train` takes the default kernels of {adapter} ({backend}) again"),
        false => format!("nothing to forget: there is no choice for {adapter} ({backend})"),
    });
    Ok(Exit::Success)
}

/// The kernels that `tune` chose for this device, if there are any. A file that cannot be read is a
/// warning, because the default kernels serve as well.
pub fn remembered(device: &Description) -> Option<TunedKernels> {
    let found = TunedKernels::load(&TunedKernels::folder()?, device);
    found.unwrap_or_else(|error| {
        say(&format!(
            "warning: {error}; taking the default kernels (`cnn-gpu tune` writes the file anew)"
        ));
        None
    })
}

fn in_words(outcome: &TrialOutcome) -> String {
    match outcome {
        TrialOutcome::Measured { speed, kept: true } => format!("{speed:.2} times as fast, kept"),
        TrialOutcome::Measured { speed, .. } => format!("{speed:.2} times as fast"),
        TrialOutcome::Refused { why } => format!("refused: {why}"),
        _ => "the same kernels".into(),
    }
}

fn text(report: &TuningReport, file: Option<&Path>) -> String {
    let mut rows = vec![["setting", "value", "step"].map(String::from)];
    // Without those that say nothing about this model.
    let told = report
        .trials
        .iter()
        .filter(|trial| trial.outcome != TrialOutcome::Unchanged);
    rows.extend(told.map(|trial| {
        [
            trial.setting.into(),
            trial.value.to_string(),
            in_words(&trial.outcome),
        ]
    }));
    let mut out = columns(&rows, |column| column == 1);
    // Writing to a string cannot fail.
    if !report.untried.is_empty() {
        let _ = writeln!(
            out,
            "\nno time for {} (--seconds)",
            report.untried.join(", ")
        );
    }
    let seconds = report.seconds;
    let step = |seconds: f64| format!("{:.3} ms per step", 1e3 * seconds);
    let _ = writeln!(out, "\ndefault  {}", step(report.default_seconds));
    let _ = if report.kernels.is_empty() {
        writeln!(out, "tuned    nothing faster was found in {seconds:.0} s")
    } else {
        let (tuned, speed) = (step(report.tuned_seconds), report.speed());
        let kernels = &report.kernels;
        writeln!(out, "tuned    {tuned}, {speed:.2} times as fast: {kernels}")
    };
    let _ = match file {
        Some(path) => writeln!(
            out,
            "kept     {}\n         `cnn-gpu train` takes these kernels on this adapter; --default-kernels \
             does without",
            path.display()
        ),
        None => writeln!(out, "kept     nothing"),
    };
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_told_in_a_few_words() {
        let measured = |speed, kept| in_words(&TrialOutcome::Measured { speed, kept });
        assert_eq!(measured(1.234, true), "1.23 times as fast, kept");
        assert_eq!(measured(0.5, false), "0.50 times as fast");
        let why = "the loss is 0".to_owned();
        assert_eq!(
            in_words(&TrialOutcome::Refused { why }),
            "refused: the loss is 0"
        );
    }
}
