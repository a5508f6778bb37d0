//! `cnn-gpu selfcheck`: compares a device's results with the reference.

mod progress;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use cnn_gpu::Error;
use cnn_gpu::check::fixture::{FixtureRow, Worst};
#[cfg(feature = "gpu")]
use cnn_gpu::check::trajectory;
use cnn_gpu::check::{self, Factory, Fixture, Trajectory};
#[cfg(feature = "gpu")]
use cnn_gpu::exec::cpu::{Cpu, CpuExecutor};
#[cfg(feature = "gpu")]
use cnn_gpu::exec::gpu::{GpuDevice, GpuExecutor};
use cnn_gpu::exec::reference::ReferenceExecutor;
use cnn_gpu::exec::{Backend, Device, Inspect, Selection, open};
#[cfg(feature = "gpu")]
use cnn_gpu::internal::GpuHooks as _;
use cnn_gpu::state::Layout;
use serde::Serialize;

use progress::CaseProgress;

use super::device::adapter;
use super::exit::Exit;
use super::model;
use super::output::{self, OutputFormat};
#[cfg(feature = "gpu")]
use super::tune::remembered;

/// Compare a device's results with the reference, operation by operation and step by step
///
/// Single operations come first, then whole training and inference steps of small networks, in
/// which operations share kernels: the gradient and the new value of each parameter are compared.
/// On a GPU, every kernel variant that the adapter can run, and the choice of `cnn-gpu tune`, is
/// checked several times, with guard bands after the buffers that no kernel may touch; then a short training run is compared with
/// the CPU's. The report can be pasted into a bug report. The exit code is 1 if anything differs.
///
/// Each case is printed to standard error before it starts, so that the last one printed is the one
/// at which a driver crashed or hung. A warning names each kernel that the driver compiles for more
/// than 30 seconds or with more than a quarter of the free memory. The check ends with exit code 1
/// when half of the free memory is used, or after `--patience`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// API of the device, as for `train`; `reference` checks the reference itself
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = targets())]
    backend: BackendArg,

    /// Index of the adapter in `cnn-gpu devices`, or part of its name
    #[arg(long, value_name = "INDEX-OR-NAME", value_parser = adapter)]
    adapter: Option<String>,

    /// Check only the cases that contain these words: an operation, `training_step`, a network, or
    /// sizes (`conv2d_forward n=3`)
    #[arg(long, value_name = "FILTER")]
    op: Option<String>,

    /// Check only the kernel variant that this adapter uses by default
    #[arg(long)]
    own: bool,

    /// Seconds that the driver may spend on one case and its kernels before the check is aborted
    #[arg(long, value_name = "SECONDS", default_value_t = 300.0,
          allow_negative_numbers = true, value_parser = seconds)]
    patience: f64,

    /// Check a whole model instead: a preset (mnist-cnn, mnist-small, mnist-best, mnist-mlp, resnet20), a TOML file, a run folder, an
    /// imported folder or a model.safetensors file
    #[arg(long, requires = "fixture", conflicts_with = "op")]
    model: Option<String>,

    /// With --model: a safetensors file of inputs and Keras's results
    #[arg(long, value_name = "FILE", requires = "model")]
    fixture: Option<PathBuf>,

    /// With --fixture: the allowed relative error
    #[arg(long, value_name = "E", default_value_t = 1e-4, requires = "fixture",
          allow_negative_numbers = true, value_parser = tolerance)]
    tolerance: f64,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu selfcheck
  cnn-gpu selfcheck --backend vulkan --op conv2d
  cnn-gpu selfcheck --backend vulkan --op 'training_step pools'
  cnn-gpu selfcheck --model m.toml --fixture m.safetensors --backend reference";

/// The value of `--backend`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum BackendArg {
    Device(Backend),
    Reference,
}

fn targets() -> impl TypedValueParser<Value = BackendArg> {
    let names = Backend::ALL.map(Backend::name).into_iter();
    PossibleValuesParser::new(names.chain(["reference"])).try_map(|name| match name.as_str() {
        "reference" => Ok(BackendArg::Reference),
        name => name.parse().map(BackendArg::Device),
    })
}

fn tolerance(typed: &str) -> Result<f64, &'static str> {
    match typed.parse::<f64>() {
        Ok(error) if error > 0.0 && error.is_finite() => Ok(error),
        _ => Err("expected a number above 0, such as 1e-4"),
    }
}

fn seconds(typed: &str) -> Result<f64, &'static str> {
    match typed.parse::<f64>() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        _ => Err("expected seconds, such as 300"),
    }
}

/// Makes the executors to check.
enum DeviceUnderTest {
    Device(Device),
    Reference,
}

#[derive(Serialize)]
struct SelfcheckReport {
    /// Names and values for a bug report.
    about: Vec<(String, String)>,
    /// The operations, unless a fixture was given; on a GPU with the adapter's default kernels.
    #[serde(skip_serializing_if = "Option::is_none")]
    operations: Option<check::OpsReport>,
    /// The same with each other kernel variant that the adapter can run, and with tuned kernels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    variants: Vec<Variant>,
    /// A short training run compared with the CPU's.
    #[serde(skip_serializing_if = "Option::is_none")]
    training: Option<Trajectory>,
    /// The fixture's tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    fixture: Option<Vec<FixtureRow>>,
    /// A likely cause of the differences.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'static str>,
    passed: bool,
}

/// The operations with one kernel variant.
#[derive(Serialize)]
struct Variant {
    kernels: &'static str,
    operations: check::OpsReport,
}

/// The hint if the reference differs from the fixture in the same way as the device.
const FIXTURE_AT_FAULT: &str = "the f64 reference differs in the same way, so the fixture or the model is at \
    fault, not the device; save transposed or otherwise non-contiguous arrays as \
    np.ascontiguousarray(array), because some versions of safetensors write their values in another \
    order";

/// The hint if lavapipe may have loaded kernels from a stale cache.
const STALE_KERNELS: &str = "some versions of Mesa load cached kernels that were compiled for \
    another LP_NATIVE_VECTOR_WIDTH; try MESA_SHADER_CACHE_DISABLE=true";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let device = DeviceUnderTest::open(&args)?;
    let patience = Duration::from_secs_f64(args.patience);
    let progress = CaseProgress::start(args.format, patience, device.compiling());
    let report = SelfcheckReport::about(&device);
    if args.format == OutputFormat::Text {
        output::print(&report.head())?;
    }
    let report = match (&args.model, &args.fixture) {
        (Some(model), Some(tensors)) => {
            let fixture = Fixture::of_model(model::load(model)?.0, tensors)?;
            progress.begins(model);
            let rows = fixture.check(&|layout| device.executor(layout), args.tolerance)?;
            SelfcheckReport {
                hint: (fixture.is_at_fault(&rows, args.tolerance)?).then_some(FIXTURE_AT_FAULT),
                fixture: Some(rows),
                ..report
            }
        }
        _ => check_operations(report, &device, &args, &progress)?,
    };
    progress.ends();
    let passed = report.agrees();
    let cache = (!passed && device.may_have_stale_kernels()).then_some(STALE_KERNELS);
    let report = SelfcheckReport {
        passed,
        hint: report.hint.or(cache),
        ..report
    };
    match args.format {
        OutputFormat::Text => output::print(&report.tail())?,
        OutputFormat::Json => output::print_json(&report)?,
    }
    Ok(if report.passed {
        Exit::Success
    } else {
        Exit::Failure
    })
}

fn check_operations(
    mut report: SelfcheckReport,
    device: &DeviceUnderTest,
    args: &Args,
    progress: &CaseProgress,
) -> anyhow::Result<SelfcheckReport> {
    #[cfg(feature = "gpu")]
    if let Some(gpu) = device.gpu() {
        return check_kernels(report, gpu, args, progress);
    }
    let factory: Factory<'_> = &|layout| device.executor(layout);
    report.operations = Some(progress.check_all(factory, args.op.as_deref(), None)?);
    Ok(report)
}

/// Checks every kernel variant that the adapter can run, and the kernels that `tune` chose for it.
#[cfg(feature = "gpu")]
fn check_kernels(
    mut report: SelfcheckReport,
    gpu: &GpuDevice,
    args: &Args,
    progress: &CaseProgress,
) -> anyhow::Result<SelfcheckReport> {
    let filter = args.op.as_deref();
    let tuned = remembered(&gpu.describe()).map(|tuned| gpu.with_kernels(&tuned.kernels));
    let tuned = tuned.transpose()?.map(|gpu| ("tuned", gpu.tuning()));
    for (i, (kernels, tuning)) in gpu.variants().into_iter().chain(tuned).enumerate() {
        let gpu = Arc::new(gpu.with_tuning(tuning).guarded());
        let factory =
            |layout| -> Box<dyn Inspect> { Box::new(GpuExecutor::new(Arc::clone(&gpu), layout)) };
        let operations = progress.check_all(&factory, filter, (i > 0).then_some(kernels))?;
        if i == 0 {
            report.operations = Some(operations);
            // A filter selects operations, so training is left out.
            if filter.is_none() {
                progress.begins("training");
                report.training = Some(trajectory(&factory, &cpu)?);
                progress.ends();
            }
            if args.own {
                break;
            }
        } else {
            report.variants.push(Variant {
                kernels,
                operations,
            });
        }
    }
    Ok(report)
}

#[cfg(feature = "gpu")]
fn cpu(layout: Arc<Layout>) -> Box<dyn Inspect> {
    Box::new(CpuExecutor::new(Cpu::new(), layout))
}

impl DeviceUnderTest {
    fn open(args: &Args) -> cnn_gpu::Result<Self> {
        match (args.backend, &args.adapter) {
            (BackendArg::Reference, None) => Ok(Self::Reference),
            (BackendArg::Reference, Some(_)) => Err(Error::Argument(
                "--adapter cannot be combined with --backend reference".into(),
            )),
            (BackendArg::Device(backend), adapter) => {
                let mut selection = Selection::new(backend);
                selection.adapter.clone_from(adapter);
                Ok(Self::Device(open(&selection)?))
            }
        }
    }

    fn executor(&self, layout: Arc<Layout>) -> Box<dyn Inspect> {
        match self {
            Self::Device(device) => device.executor(layout),
            Self::Reference => Box::new(ReferenceExecutor::reference(layout)),
        }
    }

    #[cfg(feature = "gpu")]
    fn gpu(&self) -> Option<&Arc<GpuDevice>> {
        match self {
            Self::Device(device) => device.gpu(),
            Self::Reference => None,
        }
    }

    /// A function that returns the kernel that the driver is compiling, and for how long it has
    /// been.
    #[cfg(feature = "gpu")]
    fn compiling(&self) -> impl Fn() -> Option<(String, Duration)> + Send + 'static {
        let gpu = self.gpu().cloned();
        move || {
            let (kernel, time) = gpu.as_ref()?.compiling()?;
            Some((kernel.to_owned(), time))
        }
    }

    /// Without a GPU no driver compiles anything.
    #[cfg(not(feature = "gpu"))]
    fn compiling(&self) -> impl Fn() -> Option<(String, Duration)> + Send + 'static {
        || None
    }

    #[cfg(feature = "gpu")]
    fn may_have_stale_kernels(&self) -> bool {
        let lavapipe = self.gpu().and_then(|gpu| gpu.lavapipe());
        lavapipe.is_some_and(|lavapipe| !lavapipe.cache_disabled)
    }

    #[cfg(not(feature = "gpu"))]
    fn may_have_stale_kernels(&self) -> bool {
        false
    }

    /// What a bug report should state.
    fn about(&self) -> Vec<(String, String)> {
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        let mut about = vec![
            ("cnn-gpu".into(), env!("CARGO_PKG_VERSION").into()),
            ("system".into(), system),
        ];
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.gpu() {
            about.extend(gpu.report());
            return about;
        }
        let description = self.executor(Arc::default()).describe();
        about.push(("backend".into(), description.backend));
        about.push(("adapter".into(), description.adapter));
        about
    }
}

impl SelfcheckReport {
    /// A report on a device without any results yet.
    fn about(device: &DeviceUnderTest) -> Self {
        Self {
            about: device.about(),
            operations: None,
            variants: Vec::new(),
            training: None,
            fixture: None,
            hint: None,
            passed: false,
        }
    }

    fn agrees(&self) -> bool {
        let variants = self.variants.iter().map(|v| &v.operations);
        let mut operations = self.operations.iter().chain(variants);
        operations.all(check::OpsReport::passes)
            && self.training.as_ref().is_none_or(Trajectory::passes)
            && self.fixture.iter().flatten().all(|row| row.pass)
    }

    fn head(&self) -> String {
        let mut out = String::new();
        for (name, value) in &self.about {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name:<26} {value}");
        }
        out.push('\n');
        out
    }

    /// The text below the tables of operations.
    fn tail(&self) -> String {
        let mut out = String::new();
        if let Some(training) = &self.training {
            let verdict = if training.passes() { "pass" } else { "FAIL" };
            let _ = writeln!(
                out,
                "\ntraining: {} steps compared with the CPU's: losses differ by {:.1e}, weights by {:.1e}, allowed {:.0e}  {verdict}",
                training.steps, training.loss_error, training.weights_error, training.tolerance
            );
        }
        if let Some(rows) = &self.fixture {
            fixture_table(&mut out, rows);
        }
        if let Some(hint) = self.hint {
            let _ = writeln!(out, "hint: {hint}");
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
        if !row.pass {
            let Worst {
                index,
                found,
                expected,
            } = &row.worst;
            let _ = writeln!(
                out,
                "    worst at {index:?}: {found:e}, expected {expected:e}"
            );
        }
    }
}
