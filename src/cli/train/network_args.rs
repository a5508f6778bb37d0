//! The flags of `cnn-gpu train` for the data and the network, which `find-rate` has too.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use cnn_gpu::data::{DatasetSpec, Interpolation};
use cnn_gpu::model::AUGMENTATIONS;

use crate::cli::data::{dataset_spec, interpolation};

/// What to train on.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct DataArgs {
    /// Data set to train on: auto (MNIST, or else the built-in digits, with a warning), mnist,
    /// fashion-mnist, kmnist, digits, folder:PATH (pictures, one sub-folder per class), idx:PATH,
    /// cifar10:PATH or npz:PATH [default: that of --weights, or auto]
    #[arg(long, value_name = "NAME", value_parser = dataset_spec)]
    pub dataset: Option<DatasetSpec>,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Train on N images only: a proportional share of each class of a folder or of your own files,
    /// the first N of other data sets
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub limit: Option<usize>,

    /// Skip pictures that cannot be read, and list them
    #[arg(long)]
    pub skip_unreadable: bool,

    /// How to resize pictures to the model's input_shape; see docs/data.md
    #[arg(long, value_name = "HOW", value_parser = interpolation(), default_value_t)]
    pub interpolation: Interpolation,

    /// Decode all pictures of a folder, even those that are in the cache, and do not add them to it;
    /// see docs/data.md
    #[arg(long)]
    pub no_picture_cache: bool,
}

/// What to train.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Training")]
pub struct NetworkArgs {
    /// A preset (mnist-cnn, mnist-small, mnist-best, mnist-mlp, resnet20) or a TOML file [default: that of --weights, or mnist-cnn]
    #[arg(long)]
    pub model: Option<String>,
    /// Vary the training images: layers in front of the model, of which they become a part. mnist
    /// rotates, shifts and zooms; cifar mirrors and shifts; photos also changes contrast and
    /// brightness and erases a part. See docs/models.md, and `cnn-gpu show --augment`
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(AUGMENTATIONS))]
    pub augment: Option<String>,
    /// MixUp: mix each image and its label with another of the step, in shares from Beta(ALPHA, ALPHA); without a
    /// number 0.2, as in Keras. See docs/models.md, and `cnn-gpu show --mixup`
    #[arg(long, value_name = "ALPHA", num_args = 0..=1, default_missing_value = "0.2", allow_negative_numbers = true)]
    pub mixup: Option<f64>,
    /// CutMix: put a box of another image of the step into each, and mix the labels by the box's area; a larger FACTOR, up to
    /// 1, makes the sizes more varied. Without a number 1, as in Keras. With --mixup, each step takes one of the two
    #[arg(long, value_name = "FACTOR", num_args = 0..=1, default_missing_value = "1", allow_negative_numbers = true)]
    pub cutmix: Option<f64>,
    /// Start from the weights of a run folder, an imported folder or a model.safetensors file;
    /// another --model must have parameters of the same names and shapes, or see
    /// --skip-mismatch. An imported network continues with its optimizer and its moments, unless --optimizer names another
    #[arg(long, value_name = "RUN")]
    pub weights: Option<PathBuf>,
    /// Load from --weights only the parameters whose name and shape the model has, and say which;
    /// the others start anew
    #[arg(long, requires = "weights")]
    pub skip_mismatch: bool,
    /// Freeze all layers up to and including LAYER: their weights stay as they are
    #[arg(long, value_name = "LAYER")]
    pub freeze: Option<String>,

    /// Images per step
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        allow_negative_numbers = true
    )]
    pub batch_size: usize,
    /// Cut each batch into micro-batches of N images, for batches that do not fit the device's memory: their
    /// gradients are summed in a fixed order, and each batch has one update [default: none]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub micro_batch: Option<usize>,

    /// Seed of initial weights, shuffling, dropout and augmentation; same seed, same adapter: same result
    #[arg(
        long,
        value_name = "N",
        default_value_t = 42,
        allow_negative_numbers = true
    )]
    pub seed: u64,
}
