//! What is typed after `cnn-gpu train`, and the settings made of it.

use std::path::PathBuf;
use std::time::Duration;

use cnn_gpu::data::Interpolation;
use cnn_gpu::data::{DatasetSpec, ReadOptions};
use cnn_gpu::model::Sequential;
use cnn_gpu::run::checkpoint::CheckpointSchedule;
use cnn_gpu::run::{CallbackRecord, InitialWeights};
use cnn_gpu::train::Options;
use cnn_gpu::{Error, Result};

use super::callback_args::CallbackArgs;
use super::fit_args::FitArgs;
use super::initial::Initial;
use super::optimizer_args::OptimizerArgs;
use crate::cli::data::{dataset_spec, interpolation};
use crate::cli::device::DeviceArgs;
use crate::cli::output::OutputFormat;

/// Trains a network, evaluates it, and leaves a folder with weights, history and settings
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, args_override_self = true)]
pub struct Args {
    /// What to train on: auto (MNIST, or the built-in digits, and says so), mnist, fashion-mnist,
    /// kmnist, digits, folder:PATH (pictures, a sub-folder per class), idx:PATH, cifar10:PATH or
    /// npz:PATH [default: that of --weights, else auto]
    #[arg(long, value_name = "NAME", value_parser = dataset_spec, help_heading = "Data")]
    dataset: Option<DatasetSpec>,

    /// A folder that holds the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data_dir: Option<PathBuf>,

    /// Trains on N images only: of a folder and of one's own files some of each class in proportion,
    /// of the others the first
    #[arg(
        long,
        value_name = "N",
        help_heading = "Data",
        allow_negative_numbers = true
    )]
    limit: Option<usize>,

    /// Passes over pictures that cannot be read, and says which
    #[arg(long, help_heading = "Data")]
    skip_unreadable: bool,

    /// How pictures are brought to the network's input_shape; see docs/data.md
    #[arg(long, value_name = "HOW", value_parser = interpolation(), default_value_t, help_heading = "Data")]
    interpolation: Interpolation,

    /// Only says what the data set holds: classes, sizes, formats, what is passed over, duplicates
    #[arg(long, help_heading = "Data", conflicts_with = "resume")]
    dry_run: bool,

    /// A preset (mnist-cnn, mnist-mlp) or the path of a TOML file [default: that of --weights, else
    /// mnist-cnn]
    #[arg(long, help_heading = "Training")]
    model: Option<String>,

    /// Begins with the weights of the run in this folder, or of a model.safetensors file; of another
    /// --model only the names and shapes of the parameters must be the same
    #[arg(long, value_name = "RUN", help_heading = "Training")]
    weights: Option<PathBuf>,

    /// How often to go through the images
    #[arg(
        long,
        value_name = "N",
        default_value_t = 5,
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    epochs: usize,

    /// Images in a step
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    batch_size: usize,

    /// Decides the first weights and every shuffle; same seed, same adapter: same result
    #[arg(
        long,
        value_name = "N",
        default_value_t = 42,
        help_heading = "Training",
        allow_negative_numbers = true
    )]
    seed: u64,

    #[command(flatten)]
    pub optimizer: OptimizerArgs,

    #[command(flatten)]
    fit: FitArgs,

    #[command(flatten)]
    callbacks: CallbackArgs,

    /// Goes on with the run in this folder where its last checkpoint was taken, with its settings
    #[arg(long, value_name = "RUN", help_heading = "Checkpoints")]
    pub resume: Option<PathBuf>,

    /// Takes a checkpoint every N steps, beside those after each epoch
    #[arg(long, value_name = "N", help_heading = "Checkpoints", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    checkpoint_steps: Option<u32>,

    /// Takes a checkpoint every M minutes; 0: none but those after each epoch
    #[arg(long, value_name = "M", default_value_t = 1.0, help_heading = "Checkpoints",
          allow_negative_numbers = true, value_parser = minutes)]
    checkpoint_minutes: f64,

    /// The folder for the run, new or empty [default: runs/DATE_TIME]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: Option<PathBuf>,

    /// 0: results only; 1: a progress bar, or without a terminal as 2; 2: a line per epoch
    #[arg(long, value_name = "LEVEL", default_value_t = 1, help_heading = "Output",
          allow_negative_numbers = true,
          value_parser = clap::value_parser!(u8).range(0..=2))]
    verbose: u8,

    /// How to write the results
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    format: OutputFormat,

    #[command(flatten)]
    device: DeviceArgs,
}

/// The lab's network.
const MODEL: &str = "mnist-cnn";

const EXAMPLES: &str = "\
Examples:
  cnn-gpu train
  cnn-gpu train --model mnist-mlp --optimizer sgd --learning-rate 0.1 --momentum 0.9
  cnn-gpu train --backend vulkan --adapter radeon --out runs/radeon
  cnn-gpu train --epochs 50 --validation-split 0.1 --early-stopping 3 --restore-best-weights
  cnn-gpu train --epochs 10 --lr-schedule cosine:1 --tensorboard logs/cosine
  cnn-gpu train --weights runs/first --learning-rate 1e-4   trains a finished run further
  cnn-gpu train --dataset digits --limit 2000 --epochs 1 --backend cpu   a quick look

Ctrl-C ends the run after the step it is at, takes a checkpoint and saves the weights; the exit code
is then 130, and --resume goes on.";

/// What `train` does, checked.
pub struct TrainSettings {
    pub dataset: DatasetSpec,
    pub data_dir: Option<PathBuf>,
    /// How the data are read.
    pub read: ReadOptions,
    /// What the classes of a run that goes on are called; their order counts.
    pub class_names: Vec<String>,
    /// Whether to say only what the data set holds.
    pub dry_run: bool,
    pub model: Sequential,
    /// The weights to begin with, if not fresh ones, until the trainer has them.
    pub initial: Option<Initial>,
    /// Which they are.
    pub weights: Option<InitialWeights>,
    pub options: Options,
    pub callbacks: CallbackRecord,
    /// Whether to validate on the test images (`test`), or on those that the data set has for it (`val`).
    pub validation_data: Option<String>,
    pub out: PathBuf,
    /// Whether it was named, and must be free.
    pub out_is_named: bool,
    pub format: OutputFormat,
    /// When checkpoints are taken.
    pub schedule: CheckpointSchedule,
    pub device: DeviceArgs,
    /// What was typed and does nothing, a line each.
    pub without_effect: Vec<String>,
}

impl TryFrom<Args> for TrainSettings {
    type Error = Error;

    fn try_from(args: Args) -> Result<Self> {
        if args.limit == Some(0) {
            return Err(Error::Argument(
                "--limit must be at least 1, received 0".into(),
            ));
        }
        let options = Options::default()
            .epochs(args.epochs)
            .batch_size(args.batch_size)
            .seed(args.seed)
            .verbose(args.verbose)
            .optimizer(args.optimizer.optimizer()?);
        let options = args.fit.set(options);
        options.check()?;
        let initial = args.weights.as_deref().map(Initial::open).transpose()?;
        let model = match (&args.model, &initial) {
            (Some(name), _) => Sequential::load(name)?,
            (None, Some(initial)) => initial.trained.model.clone(),
            (None, None) => Sequential::load(MODEL)?,
        };
        let theirs = initial.as_ref().map(|initial| initial.trained.data());
        let dataset = args.dataset.or(theirs).unwrap_or_default();
        let splits = options.validation_split > 0.0;
        let validation_data = args.fit.validation_data.clone().or_else(|| {
            let has_its_own = !splits && dataset.has_validation();
            has_its_own.then(|| "val".into())
        });
        let read = ReadOptions::default()
            .shape(model.input_shape)
            .seed(args.seed)
            .limit(args.limit)
            .skip_unreadable(args.skip_unreadable)
            .interpolation(args.interpolation);
        let callbacks = args.callbacks.record(splits || validation_data.is_some())?;
        let without_effect = (args.fit.without_effect().into_iter())
            .chain(args.callbacks.without_effect())
            .collect();
        if let Some(schedule) = callbacks.learning_rate_schedule {
            // How many steps an epoch has is not known yet, and a warm-up is rounded to steps.
            schedule.check_length(options.epochs, 1000)?;
        }
        let their_folder = || initial.as_ref()?.trained.folder(&dataset);
        Ok(Self {
            data_dir: args.data_dir.or_else(their_folder),
            model: args.optimizer.compile(model)?,
            weights: initial.as_ref().map(|initial| initial.record.clone()),
            initial,
            options,
            callbacks,
            validation_data,
            out_is_named: args.out.is_some(),
            out: args.out.unwrap_or_else(default_folder),
            dataset,
            read,
            class_names: Vec::new(),
            dry_run: args.dry_run,
            format: args.format,
            schedule: CheckpointSchedule {
                steps: args.checkpoint_steps.map(|steps| steps as usize),
                every: (args.checkpoint_minutes > 0.0)
                    .then(|| Duration::from_secs_f64(args.checkpoint_minutes * 60.0)),
            },
            device: args.device,
            without_effect,
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
