//! The arguments of `cnn-gpu train`, and the settings derived from them.

use std::path::PathBuf;
use std::time::Duration;

use clap::FromArgMatches as _;
use cnn_gpu::data::{DatasetSpec, Interpolation, ReadOptions};
use cnn_gpu::model::{Sequential, augmentation};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::run::checkpoint::CheckpointSchedule;
use cnn_gpu::run::{CallbackRecord, InitialWeights};
use cnn_gpu::train::{Options, Verbose};
use cnn_gpu::{Error, Result};

use super::callback_args::CallbackArgs;
use super::fit_args::FitArgs;
use super::initial::Initial;
use super::kernels::KernelSource;
use super::network_args::{DataArgs, NetworkArgs};
use super::optimizer_args::OptimizerArgs;
use crate::cli::data;
use crate::cli::device::DeviceArgs;
use crate::cli::output::OutputFormat;

/// Train a model, evaluate it, and write a run folder with weights, history and settings
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    #[command(flatten)]
    data: DataArgs,

    /// Only summarize the data set: classes, sizes, formats, skipped files, duplicates
    #[arg(long, help_heading = "Data", conflicts_with = "resume")]
    dry_run: bool,
    #[command(flatten)]
    pub network: NetworkArgs,

    /// Number of epochs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    epochs: usize,

    #[command(flatten)]
    pub optimizer: OptimizerArgs,

    #[command(flatten)]
    fit: FitArgs,

    #[command(flatten)]
    callbacks: CallbackArgs,

    /// Resume the run in this folder from its last checkpoint, with its settings
    #[arg(long, value_name = "RUN", help_heading = "Checkpoints")]
    pub resume: Option<PathBuf>,

    /// Write a checkpoint every N steps, in addition to those after each epoch
    #[arg(long, value_name = "N", help_heading = "Checkpoints", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_steps: Option<u32>,

    /// Write a checkpoint every M minutes; 0: only after each epoch
    #[arg(long, value_name = "M", default_value_t = 1.0, help_heading = "Checkpoints",
          allow_negative_numbers = true, value_parser = minutes)]
    checkpoint_minutes: f64,

    /// Run folder, new or empty [default: runs/DATE_TIME]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// 0: results only; 1: a progress bar, or without a terminal like 2; 2: one line per epoch
    #[arg(long, value_name = "LEVEL", default_value_t = 1, help_heading = "Output",
          allow_negative_numbers = true,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    verbose: u8,

    /// Draw the curves of loss and accuracy below the progress bar; nothing without a terminal
    #[arg(long, help_heading = "Output")]
    live: bool,

    /// Output format
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: OutputFormat,

    #[command(flatten)]
    pub device: DeviceArgs,

    /// Under mpirun, end if another process sends nothing for this long
    #[arg(long, value_name = "SECONDS", default_value_t = 600, help_heading = "Device",
          allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..))]
    pub rank_timeout: u32,

    /// Take the default kernels of a GPU, even if `cnn-gpu tune` found faster ones
    #[arg(long, help_heading = "Device")]
    default_kernels: bool,
}

/// The default model: the lab's network.
const MODEL: &str = "mnist-cnn";

const EXAMPLES: &str = "\
Examples:
  cnn-gpu train
  cnn-gpu train --model mnist-mlp --optimizer sgd --learning-rate 0.1 --momentum 0.9
  cnn-gpu train --backend vulkan --adapter radeon --out runs/radeon
  cnn-gpu train --epochs 50 --validation-split 0.1 --early-stopping 3 --restore-best-weights
  cnn-gpu train --epochs 10 --lr-schedule cosine:1 --tensorboard logs/cosine
  cnn-gpu train --weights runs/first --learning-rate 1e-4   fine-tune the weights of a run
  cnn-gpu train --weights runs/first --model pets.toml --skip-mismatch --freeze conv2d_2
                --dataset folder:pets                       train new last layers for other classes
  cnn-gpu train --dataset digits --limit 2000 --epochs 1 --backend cpu   a quick look

Ctrl-C finishes the current step, writes a checkpoint and saves the weights. The exit code is
then 130, and --resume continues the run.";

/// The validated settings of `train`.
pub struct TrainSettings {
    pub dataset: DatasetSpec,
    pub data_dir: Option<PathBuf>,
    /// How to read the data.
    pub read: ReadOptions,
    /// The class names of a resumed run, in its order.
    pub class_names: Vec<String>,
    /// Whether to only summarize the data set.
    pub dry_run: bool,
    pub model: Sequential,
    /// The initial weights, if they come from another run, until the trainer has them.
    pub initial: Option<Initial>,
    /// The path and the hash of those weights.
    pub weights: Option<InitialWeights>,
    /// What becomes of the optimizer of an imported network, in words.
    pub continues: Option<String>,
    pub options: Options,
    pub callbacks: CallbackRecord,
    /// Whether to validate on the test images (`test`) or on the data set's validation images
    /// (`val`).
    pub validation_data: Option<String>,
    pub out: PathBuf,
    /// Whether `out` was given, and must be a new or empty folder.
    pub out_is_named: bool,
    pub format: OutputFormat,
    /// When to write checkpoints within an epoch.
    pub schedule: CheckpointSchedule,
    pub device: DeviceArgs,
    /// Which kernels of the device to take.
    pub kernels: KernelSource,
    /// Notes on flags without effect, one line each.
    pub without_effect: Vec<String>,
}

impl TrainSettings {
    /// Checks the arguments. `base` is the optimizer that the flags change; without one it is that
    /// of the imported network in `--weights`.
    ///
    /// # Errors
    /// An argument is invalid, or a file that it names cannot be read.
    pub fn new(args: Args, base: Option<Optimizer>) -> Result<Self> {
        if args.data.limit == Some(0) {
            return Err(Error::Argument(
                "--limit must be at least 1, received 0".into(),
            ));
        }
        let mut initial = args
            .network
            .weights
            .as_deref()
            .map(|path| Initial::open(path, args.network.skip_mismatch))
            .transpose()?;
        let base = base.or_else(|| initial.as_ref()?.optimizer());
        let options = Options::default()
            .epochs(args.epochs)
            .batch_size(args.network.batch_size)
            .seed(args.network.seed)
            .verbose(match args.verbose {
                1 if args.live => Verbose::Live,
                level => Verbose::from(level),
            })
            .optimizer(args.optimizer.optimizer(base)?);
        let mut options = args.fit.set(options);
        options.micro_batch = args.network.micro_batch;
        options.mixup = args.network.mixup;
        options.cutmix = args.network.cutmix.map(Into::into);
        options.check()?;
        let continues = initial.as_mut().and_then(|i| i.settle(options.optimizer));
        let model = match (&args.network.model, &initial) {
            (Some(name), _) => Sequential::load(name)?,
            (None, Some(initial)) => initial.trained.model.clone(),
            (None, None) => Sequential::load(MODEL)?,
        };
        let augment = args.network.augment.as_deref().and_then(augmentation);
        let model = match augment {
            Some(layers) => (model.augmented(layers)).map_err(|error| {
                Error::Argument(format!(
                    "{error}; omit --augment to train with the layers that it has"
                ))
            })?,
            None => model,
        };
        let model = match &args.network.freeze {
            Some(last) => (model.freeze_until(last))
                .map_err(|error| Error::Argument(format!("--freeze {last}: {error}")))?,
            None => model,
        };
        let theirs = initial.as_ref().map(|initial| initial.trained.data());
        let dataset = args.data.dataset.or(theirs).unwrap_or_default();
        let splits = options.validation_split > 0.0;
        let validation_data = args.fit.validation_data.clone().or_else(|| {
            let has_its_own = !splits && dataset.has_validation();
            has_its_own.then(|| "val".into())
        });
        // As in the run whose weights and data are used again.
        let skipped = (initial.as_ref())
            .filter(|initial| data::is_same(&initial.trained.data(), &dataset))
            .and_then(|initial| initial.trained.config.as_ref())
            .is_some_and(|config| config.dataset.skip_unreadable);
        let read = ReadOptions::default()
            .shape(model.input_shape)
            .seed(args.network.seed)
            .limit(args.data.limit)
            .skip_unreadable(args.data.skip_unreadable || skipped)
            .interpolation(args.data.interpolation)
            .cache(data::picture_cache(args.data.no_picture_cache));
        let callbacks = args.callbacks.record(splits || validation_data.is_some())?;
        let picture_flags = [
            ("--skip-unreadable", args.data.skip_unreadable),
            (
                "--interpolation",
                args.data.interpolation != Interpolation::default(),
            ),
            ("--no-picture-cache", args.data.no_picture_cache),
        ];
        let without_effect = data::without_pictures(&dataset, &picture_flags)
            .into_iter()
            .chain(args.fit.without_effect())
            .chain(args.callbacks.without_effect())
            .chain(
                (args.live && args.verbose != 1)
                    .then(|| format!("--live has no effect with --verbose {}", args.verbose)),
            )
            .collect();
        if let Some(schedule) = callbacks.learning_rate_schedule {
            // The steps per epoch are not known yet, and a warm-up is rounded to whole steps.
            schedule.check_length(options.epochs, 1000)?;
        }
        let class_names = (initial.as_ref())
            .map(|initial| initial.trained.class_names())
            .unwrap_or_default();
        let their_folder = || initial.as_ref()?.trained.folder(&dataset);
        Ok(Self {
            data_dir: args.data.data_dir.or_else(their_folder),
            model: args.optimizer.compile(model)?,
            weights: initial.as_ref().map(|initial| initial.record.clone()),
            initial,
            continues,
            options,
            callbacks,
            validation_data,
            out_is_named: args.out.is_some(),
            out: args.out.unwrap_or_else(default_folder),
            dataset,
            read,
            class_names,
            dry_run: args.dry_run,
            format: args.format,
            schedule: CheckpointSchedule::default()
                .steps(args.checkpoint_steps.map(|steps| steps as usize))
                .every(
                    (args.checkpoint_minutes > 0.0)
                        .then(|| Duration::from_secs_f64(args.checkpoint_minutes * 60.0)),
                ),
            device: args.device,
            kernels: match args.default_kernels {
                true => KernelSource::Default,
                false => KernelSource::Tuned,
            },
            without_effect,
        })
    }
}

impl Args {
    /// The arguments of a run of these parts, with the defaults for all others.
    ///
    /// # Errors
    /// None: the defaults are valid.
    pub fn of_parts(
        data: DataArgs,
        network: NetworkArgs,
        optimizer: OptimizerArgs,
        device: DeviceArgs,
    ) -> Result<Self> {
        let command = <Self as clap::Args>::augment_args(clap::Command::new("train"));
        let defaults = command.try_get_matches_from(["train"]);
        let defaults = defaults.and_then(|matches| Self::from_arg_matches(&matches));
        Ok(Self {
            data,
            network,
            optimizer,
            device,
            ..defaults.map_err(|error| Error::Argument(error.to_string()))?
        })
    }
}

fn minutes(typed: &str) -> Result<f64, &'static str> {
    match typed.parse() {
        Ok(minutes) if (0.0..=1e6).contains(&minutes) => Ok(minutes),
        _ => Err("expected a number of minutes, from 0 to 1000000"),
    }
}

/// `runs/2026-03-01_14-05-09`
fn default_folder() -> PathBuf {
    let now = jiff::ZonedDateTime::now().strftime("%Y-%m-%d_%H-%M-%S");
    PathBuf::from("runs").join(now.to_string())
}
