//! `cnn-gpu selfcheck`: does this device compute what it should?

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::Error;
use cnn_gpu::check::fixture::FixtureRow;
use cnn_gpu::check::{self, Fixture};
use cnn_gpu::exec::reference::ReferenceExecutor;
use cnn_gpu::exec::{Backend, Executor, Opened, Selection, open};
use cnn_gpu::model::Sequential;
use cnn_gpu::state::Layout;
use indicatif::ProgressBar;
use serde::Serialize;

use super::device::adapter;
use super::exit::Exit;
use super::output::{self, Format};

/// Compares a device's arithmetic with the reference, operation by operation
///
/// The report can be pasted into a bug report as it is. The exit code is 1 if anything differs.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The device, as for `train`; `reference` is the reference itself
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = targets())]
    backend: Target,

    /// An adapter's index in `cnn-gpu devices`, or a part of its name
    #[arg(long, value_name = "INDEX-OR-NAME", value_parser = adapter)]
    adapter: Option<String>,

    /// Only the cases with these words: an operation, sizes (`conv2d_forward n=3`)
    #[arg(long, value_name = "FILTER")]
    op: Option<String>,

    /// Checks a whole model instead: a preset (mnist-cnn, mnist-mlp) or the path of a TOML file
    #[arg(long, requires = "fixture", conflicts_with = "op")]
    model: Option<String>,

    /// With --model: a safetensors file of inputs and of what Keras made of them
    #[arg(long, value_name = "FILE", requires = "model")]
    fixture: Option<PathBuf>,

    /// With --fixture: the relative error to allow
    #[arg(long, value_name = "E", default_value_t = 1e-4, requires = "fixture",
          allow_negative_numbers = true, value_parser = tolerance)]
    tolerance: f64,

    /// How to write the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu selfcheck
  cnn-gpu selfcheck --backend vulkan --op conv2d
  cnn-gpu selfcheck --model m.toml --fixture m.safetensors --backend reference";

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Device(Backend),
    Reference,
}

fn targets() -> impl TypedValueParser<Value = Target> {
    let names = Backend::ALL.map(Backend::name).into_iter();
    PossibleValuesParser::new(names.chain(["reference"])).try_map(|name| match name.as_str() {
        "reference" => Ok(Target::Reference),
        name => name.parse().map(Target::Device),
    })
}

fn tolerance(typed: &str) -> Result<f64, &'static str> {
    match typed.parse::<f64>() {
        Ok(error) if error > 0.0 && error.is_finite() => Ok(error),
        _ => Err("expected a number above 0, such as 1e-4"),
    }
}

/// Makes executors of the thing that is checked.
enum Subject {
    Device(Opened),
    Reference,
}

#[derive(Serialize)]
struct Report {
    /// Names and values, for whoever reads the bug report.
    about: Vec<(String, String)>,
    /// The operations, unless a fixture was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<check::Report>,
    /// The fixture's tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixture: Option<Vec<FixtureRow>>,
    passed: bool,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let subject = Subject::open(&args)?;
    let (operations, fixture) = match (&args.model, &args.fixture) {
        (Some(model), Some(tensors)) => {
            let fixture = Fixture::of_model(Sequential::load(model)?, tensors)?;
            let rows = fixture.check(&|layout| subject.executor(layout), args.tolerance)?;
            (None, Some(rows))
        }
        _ => (Some(check_operations(&subject, args.op.as_deref())?), None),
    };
    let passed = operations.as_ref().is_none_or(check::Report::passes)
        && fixture.iter().flatten().all(|row| row.pass);
    let report = Report {
        about: subject.about(),
        operations,
        fixture,
        passed,
    };
    match args.format {
        Format::Text => output::print(&report.text())?,
        Format::Json => output::print_json(&report)?,
    }
    Ok(if passed { Exit::Success } else { Exit::Failure })
}

fn check_operations(subject: &Subject, filter: Option<&str>) -> cnn_gpu::Result<check::Report> {
    // Drawn on a terminal only.
    let spinner = ProgressBar::new_spinner();
    let report = check::check_ops(&|layout| subject.executor(layout), filter, &mut |result| {
        spinner.set_message(format!("{} {}", result.op, result.vars));
        spinner.tick();
    });
    spinner.finish_and_clear();
    report
}

impl Subject {
    fn open(args: &Args) -> cnn_gpu::Result<Self> {
        match (args.backend, &args.adapter) {
            (Target::Reference, None) => Ok(Self::Reference),
            (Target::Reference, Some(_)) => Err(Error::Argument(
                "--adapter cannot be combined with --backend reference".into(),
            )),
            (Target::Device(backend), adapter) => Ok(Self::Device(open(&Selection {
                backend,
                adapter: adapter.clone(),
            })?)),
        }
    }

    fn executor(&self, layout: Arc<Layout>) -> Box<dyn Executor> {
        match self {
            Self::Device(device) => device.executor(layout),
            Self::Reference => Box::new(ReferenceExecutor::reference(layout)),
        }
    }

    /// What a bug report should tell.
    fn about(&self) -> Vec<(String, String)> {
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let mut about = vec![
            ("cnn-gpu".into(), env!("CARGO_PKG_VERSION").into()),
            ("system".into(), system),
        ];
        match self {
            Self::Device(device) if device.gpu().is_some() => {
                about.extend(device.gpu().map(|gpu| gpu.report()).unwrap_or_default());
            }
            _ => {
                let description = self.executor(Arc::default()).describe();
                about.push(("backend".into(), description.backend));
                about.push(("adapter".into(), description.adapter));
            }
        }
        about
    }
}

impl Report {
    fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        for (name, value) in &self.about {
            let _ = writeln!(out, "{name:<26} {value}");
        }
        out.push('\n');
        if let Some(operations) = &self.operations {
            let _ = write!(out, "{operations}");
        }
        if let Some(rows) = &self.fixture {
            fixture_table(&mut out, rows);
        }
        let _ = writeln!(
            out,
            "verdict: {}",
            if self.passed { "pass" } else { "FAIL" }
        );
        out
    }
}

fn fixture_table(out: &mut String, rows: &[FixtureRow]) {
    let _ = writeln!(out, "{:<40} {:>8}  {:>7}", "tensor", "error", "allowed");
    for row in rows {
        let verdict = if row.pass { "pass" } else { "FAIL" };
        let _ = writeln!(
            out,
            "{:<40} {:>8.1e}  {:>7.0e}  {verdict}",
            row.tensor, row.error, row.tolerance
        );
    }
}
