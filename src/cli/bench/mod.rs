//! `cnn-gpu bench`: how fast is this device, and where does a step's time go?

mod ranks_report;

use std::fmt::Write as _;
use std::time::Duration;

use cnn_gpu::bench::{Roofline, RooflineRow, Scaling, ScalingRow, StepMemory, StepTime, Workload};
use cnn_gpu::exec::{Description, Device, KernelChoice, Peak};
use cnn_gpu::model::Sequential;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::plan::{Plan, Purpose};
#[cfg(feature = "gpu")]
use cnn_gpu::tune::{TunedKernels, step_seconds};
use indicatif::ProgressBar;
use serde::Serialize;

use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::model;
use super::output::{self, OutputFormat, count};
use super::ranks::{self, Ranks};
use cnn_gpu::train::callbacks::short_time as time;
use ranks_report::RanksReport;

/// Measure a device: its peak rates, each operation of a training step, and the whole step
///
/// Trains on random noise; reads and writes no files.
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

    /// Measure steps of 1 to 4096 images, and of images up to 8 times as wide and high
    #[arg(long, conflicts_with = "batch_size")]
    scaling: bool,

    /// Under mpirun, measure a step that the processes share, and what they send (needs the cargo feature `mpi`)
    #[arg(long, conflicts_with = "scaling")]
    mpi: bool,

    /// With --mpi, images per micro-batch
    #[arg(
        long,
        value_name = "N",
        requires = "mpi",
        default_value_t = ranks::MICRO_BATCH,
        allow_negative_numbers = true
    )]
    micro_batch: usize,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,

    #[command(flatten)]
    device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu bench
  cnn-gpu bench --backend cpu --batch-size 256
  cnn-gpu bench --backend vulkan --scaling --format json
  mpirun -n 4 cnn-gpu bench --mpi --batch-size 256";

/// Time budget for measuring the whole step.
const BUDGET: Duration = Duration::from_secs(3);
/// Images in MNIST's training set.
const EPOCH: usize = 60_000;
/// How long a rank waits for another one.
const RANK_LIMIT: Duration = Duration::from_secs(600);

/// The report.
#[derive(Serialize)]
struct BenchReport {
    version: &'static str,
    device: Description,
    model: String,
    #[serde(flatten)]
    results: Measurements,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Measurements {
    Step(Box<StepReport>),
    Scaling(Scaling),
    Ranks(RanksReport),
}

#[derive(Serialize)]
struct StepReport {
    batch_size: usize,
    peak: Peak,
    operations: Roofline,
    step: StepTime,
    /// Floating-point operations per step.
    flops: u64,
    /// Floating-point operations per second during a step, in 1e9.
    gflops: f64,
    /// Dispatches per step; null on the CPU, which has none.
    dispatches: Option<usize>,
    /// Null on the CPU, which does not count it.
    memory: Option<StepMemory>,
    /// The step with the kernels that `tune` chose; null if it chose none.
    tuned: Option<TunedStep>,
    epoch_images: usize,
    /// Steps per epoch times the time of one.
    epoch_seconds: f64,
}

/// A step with tuned kernels.
#[derive(Serialize)]
struct TunedStep {
    kernels: KernelChoice,
    seconds: f64,
    /// The speed relative to that of the default kernels, measured in turn.
    speed: f64,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    if !args.mpi {
        return run_as(args, None);
    }
    let mut ranks = Ranks::start(RANK_LIMIT)?;
    let outcome = run_as(args, Some(&mut ranks));
    ranks.end(outcome)
}

/// Runs the command, perhaps as one of several ranks.
fn run_as(mut args: Args, ranks: Option<&mut Ranks>) -> anyhow::Result<Exit> {
    let (model, _) = model::load(&args.model)?;
    // Before opening a device, as the arguments may be invalid.
    Plan::new(
        &model,
        Purpose::Training(Optimizer::default()),
        match args.mpi {
            true => args.micro_batch.min(args.batch_size),
            false => args.batch_size,
        },
    )?;
    if let Some(ranks) = ranks.as_ref().filter(|ranks| ranks.launched) {
        args.device.share(ranks.local, ranks.sharers);
    }
    let device = args.device.open()?;
    let description = device.describe();
    announce(&description, &device);
    // Drawn on a terminal only.
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    let results = if let Some(ranks) = ranks {
        spinner.set_message("measuring the step on all ranks");
        let sizes = (args.batch_size, args.micro_batch);
        match RanksReport::measure(&device, &model, sizes, ranks)? {
            Some(report) => Measurements::Ranks(report),
            // Rank 0 has it.
            None => return Ok(Exit::Success),
        }
    } else if args.scaling {
        Measurements::Scaling(scaling(&device, &model, &spinner)?)
    } else {
        Measurements::Step(Box::new(step(&device, &model, args.batch_size, &spinner)?))
    };
    spinner.finish_and_clear();
    let report = BenchReport {
        version: env!("CARGO_PKG_VERSION"),
        device: description,
        model: model.name,
        results,
    };
    match args.format {
        OutputFormat::Text => output::print(&report.text())?,
        OutputFormat::Json => output::print_json(&report)?,
    }
    Ok(Exit::Success)
}

fn step(
    device: &Device,
    model: &Sequential,
    batch_size: usize,
    spinner: &ProgressBar,
) -> cnn_gpu::Result<StepReport> {
    spinner.set_message("measuring the step");
    let mut workload = Workload::new(device, model, batch_size)?;
    let step = workload.step(BUDGET)?;
    spinner.set_message("measuring the device's peak rates");
    let peak = device.peak()?;
    spinner.set_message("measuring the operations");
    let operations = workload.roofline(&peak)?;
    let flops = workload.flops();
    let memory = workload.memory()?;
    if device.is_gpu() {
        spinner.set_message("measuring the tuned kernels");
    }
    let tuned = tuned(device, model, &mut workload)?;
    Ok(StepReport {
        batch_size,
        peak,
        tuned,
        flops,
        gflops: flops as f64 / step.seconds / 1e9,
        dispatches: operations.dispatches,
        operations,
        memory,
        epoch_images: EPOCH,
        epoch_seconds: EPOCH.div_ceil(batch_size) as f64 * step.seconds,
        step,
    })
}

/// Runs the step with the kernels that `tune` chose for the device, in turn with the default ones.
#[cfg(feature = "gpu")]
fn tuned(
    device: &Device,
    model: &Sequential,
    default: &mut Workload,
) -> cnn_gpu::Result<Option<TunedStep>> {
    let Some(TunedKernels { kernels, .. }) = super::tune::remembered(&device.describe()) else {
        return Ok(None);
    };
    let batch = default.plan().batch;
    let mut tuned = Workload::new(&device.with_kernels(&kernels)?, model, batch)?;
    tuned.run(1)?;
    let [before, seconds] = step_seconds([default, &mut tuned], BUDGET)?;
    Ok(Some(TunedStep {
        kernels,
        seconds,
        speed: before / seconds,
    }))
}

/// Without GPUs there are no kernels to tune.
#[cfg(not(feature = "gpu"))]
fn tuned(_: &Device, _: &Sequential, _: &mut Workload) -> cnn_gpu::Result<Option<TunedStep>> {
    Ok(None)
}

fn scaling(device: &Device, model: &Sequential, spinner: &ProgressBar) -> cnn_gpu::Result<Scaling> {
    Scaling::measure(device, model, &mut |row| {
        let [height, width] = row.image;
        let batch = row.batch_size;
        spinner.set_message(format!("measured {batch} images of {height}x{width}"));
    })
}

impl BenchReport {
    fn text(&self) -> String {
        match &self.results {
            Measurements::Step(report) => report.text(),
            Measurements::Ranks(report) => report.text(),
            Measurements::Scaling(scaling) => [&scaling.batches, &scaling.sides]
                .map(|rows| scaling_table(rows))
                .join("\n"),
        }
    }
}

impl StepReport {
    fn text(&self) -> String {
        let peak = &self.peak;
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "peak        {:.1} GFLOP/s (multiply-adds), {:.1} GB/s (copy)\n",
            peak.gflops, peak.gbytes_per_second
        );
        operations_table(&mut out, &self.operations);
        let StepTime {
            seconds,
            images_per_second,
            samples,
            steps_per_sample,
        } = self.step;
        let _ = writeln!(
            out,
            "\nstep        {}, {} images/s, {:.1} GFLOP/s, {:.0} % of the peak; median of {samples} x {steps_per_sample}",
            milliseconds(seconds),
            count(images_per_second.round() as u64),
            self.gflops,
            100.0 * self.gflops / peak.gflops,
        );
        let _ = writeln!(
            out,
            "epoch       {} ({} images in steps of {})",
            time(self.epoch_seconds),
            count(self.epoch_images as u64),
            self.batch_size
        );
        if let Some(tuned) = &self.tuned {
            let _ = writeln!(
                out,
                "tuned       {}, {:.2} times as fast as the default kernels in turn: {}",
                milliseconds(tuned.seconds),
                tuned.speed,
                tuned.kernels,
            );
        }
        if let Some(dispatches) = self.dispatches {
            let _ = writeln!(out, "dispatches  {dispatches} per step");
        }
        if let Some(memory) = self.memory {
            let _ = writeln!(out, "memory      {}", memory_line(&memory));
        }
        out
    }
}

fn memory_line(memory: &StepMemory) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let parts = [
        (memory.parts.image_copies, "image copies"),
        (memory.parts.partial_sums, "partial sums"),
    ];
    let parts = parts.into_iter().filter(|(bytes, _)| *bytes > 0);
    let parts: String = parts
        .map(|(bytes, what)| format!(", {} of {what}", megabytes(bytes)))
        .collect();
    let largest = (memory.largest_batch).map_or("none".into(), |n| count(n as u64));
    let bound = match memory.available {
        Some(_) => "the largest batch that fits is",
        None => "free memory unknown; the largest batch within the adapter's limits is",
    };
    format!(
        "{} allocated: {} of tensors ({} without fusion){parts}\n            {bound} {largest}",
        megabytes(memory.bytes),
        megabytes(memory.parts.tensors),
        megabytes(memory.all_tensors),
    )
}

fn operations_table(out: &mut String, operations: &Roofline) {
    let what = operations.clock.unit();
    let titles: Vec<[String; 2]> = operations.rows.iter().map(title).collect();
    let longest = |column: usize, head: &str| {
        let widths = titles.iter().map(|cells| cells[column].chars().count());
        widths.max().unwrap_or_default().max(head.len())
    };
    let (first, second) = (longest(0, what), longest(1, "layer"));
    let _ = writeln!(
        out,
        "{what:<first$}  {:<second$} {:>11} {:>9} {:>8} {:>9}",
        "layer", "time", "GFLOP/s", "GB/s", "roofline"
    );
    for (row, [operations, layers]) in operations.rows.iter().zip(&titles) {
        let number = |value: Option<f64>, digits: usize| match value {
            Some(value) => format!("{value:.digits$}"),
            None => "-".into(),
        };
        let _ = writeln!(
            out,
            "{operations:<first$}  {layers:<second$} {:>11} {:>9} {:>8} {:>9}",
            milliseconds(row.seconds),
            number(row.gflops, 1),
            number(row.gbytes_per_second, 1),
            row.share
                .map_or("-".into(), |share| format!("{:.0} %", 100.0 * share)),
        );
    }
    let sum = operations.rows.iter().map(|row| row.seconds).sum();
    let before = first + 2 + second;
    let _ = writeln!(out, "{:<before$} {:>11}", "sum", milliseconds(sum));
    let how = operations.clock.explanation();
    let _ = writeln!(
        out,
        "{how}\nroofline: the time that the arithmetic or the traffic takes at the peak, whichever is \
         longer, divided\nby the measured time; above 100 % if data stay in cache or the peak was \
         measured too low."
    );
}

/// The operations of a row, or the helper's name, and their layers.
fn title(row: &RooflineRow) -> [String; 2] {
    let operations = if row.operations.is_empty() {
        format!("({})", row.name)
    } else {
        row.operations.join(" + ")
    };
    [operations, row.layers.join(", ")]
}

fn scaling_table(rows: &[ScalingRow]) -> String {
    let mut out = format!(
        "{:>9} {:>6} {:>12} {:>10} {:>9}\n",
        "image", "batch", "step", "images/s", "ns/MAC"
    );
    for row in rows {
        let [height, width] = row.image;
        let size = format!("{height}x{width}");
        let _ = write!(out, "{size:>9} {:>6} ", row.batch_size);
        let _ = match (&row.measured, &row.skipped) {
            (Some(measured), _) => writeln!(
                out,
                "{:>12} {:>10} {:>9.4}",
                milliseconds(measured.seconds),
                count(measured.images_per_second.round() as u64),
                measured.ns_per_mac
            ),
            (None, why) => writeln!(out, "skipped: {}", why.as_deref().unwrap_or("unknown")),
        };
    }
    out
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", 1e3 * seconds)
}
