//! `cnn-gpu find-rate`: the learning-rate range test.

use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use cnn_gpu::Error;
use cnn_gpu::inspect::{LinePlot, Scale};
use cnn_gpu::internal::disk;
use cnn_gpu::report::sections::rate_curve;
use cnn_gpu::train::{RateCurve, RatePoint, RateSweep};
use serde::Serialize;

use super::args::{Args as TrainArgs, TrainSettings};
use super::network_args::{DataArgs, NetworkArgs};
use super::optimizer_args::OptimizerArgs;
use super::{data, prepare};
use crate::cli::blocks::terminal_columns;
use crate::cli::columns::columns;
use crate::cli::device::{DeviceArgs, announce};
use crate::cli::exit::Exit;
use crate::cli::output::{self, OutputFormat, say};

/// Find a good learning rate: train for a few steps with ever larger rates, and keep nothing
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    /// Learning rate of the first step
    #[arg(long, value_name = "RATE", default_value_t = RateSweep::default().from,
          allow_negative_numbers = true)]
    from: f32,

    /// Learning rate at the end
    #[arg(long, value_name = "RATE", default_value_t = RateSweep::default().to,
          allow_negative_numbers = true)]
    to: f32,

    /// Number of steps, unless the loss grows to four times its lowest value before
    #[arg(long, value_name = "N", default_value_t = RateSweep::default().steps,
          allow_negative_numbers = true)]
    steps: usize,

    /// Also write the curve as a picture
    #[arg(long, value_name = "FILE.svg", value_parser = PathBufValueParser::new().try_map(svg))]
    out: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,

    #[command(flatten)]
    data: DataArgs,

    #[command(flatten)]
    network: NetworkArgs,

    #[command(flatten)]
    optimizer: OptimizerArgs,

    #[command(flatten)]
    device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu find-rate
  cnn-gpu find-rate --model net.toml --dataset folder:pets --batch-size 32
  cnn-gpu find-rate --optimizer sgd --momentum 0.9 --to 100 --out rates.svg

The rate grows exponentially and the loss is smoothed (Smith, 2017; fastai's lr_find). Nothing is
written except --out; train with --learning-rate RATE.";

/// Two rates that differ by a larger factor are worth a note.
const FAR_APART: f32 = 100.0;
/// Lines of the table.
const ROWS: usize = 20;
/// The plot's height in lines, and its largest width.
const PLOT: [usize; 2] = [12, 100];

/// The result as JSON.
#[derive(Serialize)]
struct RateRecord<'a> {
    suggested: Option<f32>,
    steepest: Option<f32>,
    lowest: Option<f32>,
    lowest_over_ten: Option<f32>,
    steps: usize,
    #[serde(flatten)]
    curve: &'a RateCurve,
}

/// Rejects a path that does not end in .svg.
fn svg(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.extension() {
        Some(kind) if kind.eq_ignore_ascii_case("svg") => Ok(path),
        _ => Err("expected a file name that ends in .svg"),
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let sweep = RateSweep::default()
        .range(args.from, args.to)
        .steps(args.steps);
    sweep.check()?;
    if args.optimizer.sets_a_rate() {
        say("note: --learning-rate has no effect, as the test tries all rates from --from to --to");
    }
    let parts = TrainArgs::of_parts(args.data, args.network, args.optimizer, args.device);
    let mut settings = TrainSettings::new(parts?, None)?;
    let device = settings.device.open()?;
    let (mut trainer, _) = prepare(&settings, &device, true)?;
    if let Some(initial) = settings.initial.take()
        && let Some(note) = initial.give(&mut trainer, settings.options.optimizer)?
    {
        say(&format!("note: {note}"));
    }
    let (splits, _) = data::load(&settings)?;
    announce(&trainer.describe(), &device);
    let curve = trainer.find_rate(&splits.train, &sweep)?;
    if let Some(path) = &args.out {
        disk::replace(path, &rate_curve(&curve).drawing.to_file())
            .map_err(|e| Error::file(path, format!("cannot write the curve: {e}")))?;
        say(&format!("wrote {}", path.display()));
    }
    match args.format {
        OutputFormat::Text => output::print(&text(&curve, &sweep))?,
        OutputFormat::Json => output::print_json(&RateRecord {
            suggested: curve.suggested(),
            steepest: curve.steepest(),
            lowest: curve.lowest(),
            lowest_over_ten: curve.lowest().map(|rate| rate / 10.0),
            steps: sweep.steps,
            curve: &curve,
        })?,
    }
    Ok(Exit::Success)
}

fn text(curve: &RateCurve, sweep: &RateSweep) -> String {
    let plotted: Vec<String> = plot(curve);
    let (taken, planned) = (curve.points.len(), sweep.steps);
    let mut out = format!("{}\n{}\n\n", table(&curve.points), plotted.join("\n"));
    let mut row = |name: &str, value: String| out += &format!("{name:<20} {value}\n");
    row(
        "ended",
        format!("after {taken} of {planned} steps: {}", curve.ending),
    );
    match (curve.steepest(), curve.lowest(), curve.suggested()) {
        (Some(steepest), Some(lowest), Some(suggested)) => {
            row(
                "steepest descent",
                format!("{}, where the loss falls fastest", rate(steepest)),
            );
            let tenth = rate(lowest / 10.0);
            row(
                "lowest loss / 10",
                format!("{tenth}, a tenth of {}", rate(lowest)),
            );
            let how = "the smaller of the two: --learning-rate";
            row("suggested rate", format!("{0}, {how} {0}", rate(suggested)));
            let factor = (steepest * 10.0 / lowest).max(lowest / 10.0 / steepest);
            if factor > FAR_APART {
                let text = format!("the two rates differ by a factor of {factor:.0}; look at the curve");
                row("note", text);
            }
        }
        (Some(steepest), Some(lowest), None) => row(
            "suggested rate",
            format!(
                "none: it would be {}, below --from; try a smaller --from",
                rate(steepest.min(lowest / 10.0))
            ),
        ),
        _ => row(
            "suggested rate",
            "none: the loss falls no further than batches differ; try other rates with --from and --to, or more \
             --steps"
                .into(),
        ),
    }
    out
}

/// About [`ROWS`] of the steps, and always the last one.
fn table(points: &[RatePoint]) -> String {
    let every = points.len().div_ceil(ROWS).max(1);
    let mut rows = vec![["step", "learning rate", "loss", "smoothed"].map(String::from)];
    for (step, point) in points.iter().enumerate() {
        if step % every == 0 || step + 1 == points.len() {
            rows.push([
                (step + 1).to_string(),
                rate(point.learning_rate),
                format!("{:.4}", point.loss),
                format!("{:.4}", point.smoothed),
            ]);
        }
    }
    columns(&rows, |_| true)
}

/// The smoothed loss by learning rate, with a mark at the suggested rate.
fn plot(curve: &RateCurve) -> Vec<String> {
    let [rows, most] = PLOT;
    let width = terminal_columns().saturating_sub(12).clamp(20, most);
    let points: Vec<(f64, f64)> = (curve.points.iter())
        .map(|p| (f64::from(p.learning_rate), p.smoothed))
        .collect();
    let marks: Vec<(f64, f64)> = (curve.points.iter())
        .find(|p| {
            curve
                .suggested()
                .is_some_and(|rate| p.learning_rate >= rate * 0.999)
        })
        .map(|p| (f64::from(p.learning_rate), p.smoothed))
        .into_iter()
        .collect();
    LinePlot::new(width, rows)
        .title("smoothed loss by learning rate (logarithmic); ● the suggested rate")
        .x_scale(Scale::Logarithmic)
        .y(curve.losses())
        .draw(&points, &marks)
}

/// A rate with two digits: `3.3e-5`, `0.0012`.
fn rate(value: f32) -> String {
    let rounded = format!("{value:.1e}");
    match rounded.parse::<f32>() {
        Ok(number) if (1e-4..1e4).contains(&number) => number.to_string(),
        _ => rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits() {
        let rates = [1e-7, 0.001_234, 0.1, 9.99, 3.3e-5].map(rate);
        assert_eq!(rates, ["1.0e-7", "0.0012", "0.1", "10", "3.3e-5"]);
    }
}
