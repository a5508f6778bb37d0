//! The arguments of `cnn-gpu convolve`.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use cnn_gpu::data::DatasetSpec;
use cnn_gpu::inspect::{Filter, Matrix};
use cnn_gpu::model::PoolKind;
use cnn_gpu::shape::{Padding, Pair};

use super::filter_layer::Movement;
use super::greys::GreyChoice;
use super::pass::PoolArg;
use crate::cli::data::dataset_spec;
use crate::cli::device::DeviceArgs;
use crate::cli::output::OutputFormat;
use crate::cli::show::png;

/// Slide a filter over a picture: what a convolution, and a pool after it, make of it
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(group(ArgGroup::new("picture").args(["image", "matrix", "dataset", "run"]).required(true).multiple(true)))]
pub struct Args {
    /// Picture of any size (PNG, JPEG, WebP, BMP, GIF, TIFF and others), with grey levels 0 to 255
    #[arg(value_name = "IMAGE")]
    pub image: Option<PathBuf>,

    /// Numbers in place of a picture, as "10,10,0,0;10,10,0,0": results are printed as numbers
    #[arg(long, value_name = "ROWS", allow_hyphen_values = true, conflicts_with_all = ["image", "dataset"])]
    pub matrix: Option<Matrix>,

    /// A training sample in place of a picture: auto, mnist, fashion-mnist, kmnist, digits,
    /// folder:PATH, idx:PATH, cifar10:PATH or npz:PATH [default with --run: the run's]
    #[arg(long, value_name = "NAME", value_parser = dataset_spec, conflicts_with = "image")]
    pub dataset: Option<DatasetSpec>,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR", conflicts_with_all = ["image", "matrix"])]
    pub data_dir: Option<PathBuf>,

    /// Index of the sample, from 0 [default: 5, the lab's `train_images[5]`]
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["image", "matrix"],
        allow_negative_numbers = true
    )]
    pub index: Option<usize>,

    /// vertical-edges, horizontal-edges, sobel-x, sobel-y, sharpen, blur, emboss, identity,
    /// laplacian, or rows of numbers like "1,0,-1;1,0,-1;1,0,-1" [default: vertical-edges]
    #[arg(
        long,
        value_name = "FILTER",
        allow_hyphen_values = true,
        help_heading = "Filter"
    )]
    pub filter: Option<Filter>,

    /// Run folder or model.safetensors file whose learned filter to use, with its bias and
    /// activation; pixels are divided by 255 as in training, and pass the layers before it
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with = "filter",
        help_heading = "Filter"
    )]
    pub run: Option<PathBuf>,

    /// The layer of the learned filter, a convolution, by its name in `cnn-gpu summary RUN`
    #[arg(
        long,
        value_name = "NAME",
        requires = "run",
        conflicts_with = "filter",
        help_heading = "Filter"
    )]
    pub layer: Option<String>,

    /// The output channel of the learned filter, from 0 [default: 0]
    #[arg(
        long,
        value_name = "N",
        requires = "run",
        conflicts_with = "filter",
        help_heading = "Filter",
        allow_negative_numbers = true
    )]
    pub channel: Option<usize>,

    /// Zeros around the picture: none, or as many as keep its size at a stride of 1
    /// [default: valid, or that of --layer]
    #[arg(long, value_name = "valid|same", value_parser = padding, help_heading = "Filter")]
    padding: Option<Padding>,

    /// Steps of the filter down and to the right, one number or two [default: 1, or those of
    /// --layer]
    #[arg(long, value_name = "N", value_parser = pair, help_heading = "Filter",
          allow_negative_numbers = true)]
    strides: Option<Pair>,

    /// Spacing of the filter's cells, one number or two [default: 1, or that of --layer]
    #[arg(long, value_name = "N", value_parser = pair, help_heading = "Filter",
          allow_negative_numbers = true)]
    dilation: Option<Pair>,

    /// Pool the output: max, average or sum over windows of this size, as in max:2
    #[arg(long, value_name = "HOW:SIZE", value_parser = pool, help_heading = "Filter")]
    pub pool: Option<PoolArg>,

    /// Convolve the red, the green and the blue plane, and add them up as a Conv2D does
    #[arg(long, alias = "color", conflicts_with = "run", help_heading = "Filter")]
    pub colour: bool,

    /// Also show the sum behind one number of the output, by its row and column from 0
    #[arg(long, value_name = "R,C", value_parser = place, allow_negative_numbers = true)]
    pub steps: Option<WindowPlace>,

    /// How numbers become grey levels
    #[arg(long, value_enum, default_value_t)]
    pub grey: GreyChoice,

    /// Also write the pictures to a PNG file, side by side: before, filter, after, pooled
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(png))]
    pub out: Option<PathBuf>,

    /// Enlargement of the pictures in the file [default: about 200 pixels high]
    #[arg(long, value_name = "N", requires = "out", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    pub scale: Option<u16>,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub format: OutputFormat,

    #[command(flatten)]
    pub device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu convolve photo.jpg --filter sobel-x --out edges.png
  cnn-gpu convolve photo.jpg --filter blur --colour --pool max:2
  cnn-gpu convolve --matrix \"10,10,10,0,0,0;10,10,10,0,0,0;10,10,10,0,0,0\" --steps 0,1
  cnn-gpu convolve --run runs/first --layer conv2d --channel 3     the run's training image 5

A filter is not mirrored before it slides: as in Keras and the lab, what is called a convolution is a \
cross-correlation.";

/// A row and a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowPlace(pub [usize; 2]);

impl Args {
    /// How the filter moves.
    pub fn movement(&self) -> Movement {
        Movement {
            padding: self.padding,
            strides: self.strides,
            dilation: self.dilation,
        }
    }
}

fn padding(typed: &str) -> Result<Padding, &'static str> {
    match typed {
        "valid" => Ok(Padding::Valid),
        "same" => Ok(Padding::Same),
        _ => Err("expected valid or same"),
    }
}

/// One number for both axes, or two.
fn pair(typed: &str) -> Result<Pair, &'static str> {
    const EXPECTED: &str = "expected a number of at least 1, or two like 2,1";
    let numbers: Result<Vec<usize>, _> =
        typed.split([',', 'x']).map(|n| n.trim().parse()).collect();
    match numbers.as_deref() {
        Ok(&[n]) if n > 0 => Ok(n.into()),
        Ok(&[h, w]) if h > 0 && w > 0 => Ok([h, w].into()),
        _ => Err(EXPECTED),
    }
}

fn pool(typed: &str) -> Result<PoolArg, &'static str> {
    const EXPECTED: &str = "expected max, average or sum and a size, as in max:2 or sum:2,3";
    let (kind, size) = typed.split_once(':').ok_or(EXPECTED)?;
    let kind = match kind {
        "max" => PoolKind::Max,
        "average" => PoolKind::Average,
        "sum" => PoolKind::Sum,
        _ => return Err(EXPECTED),
    };
    let size = pair(size).map_err(|_| EXPECTED)?;
    Ok(PoolArg { kind, size })
}

fn place(typed: &str) -> Result<WindowPlace, &'static str> {
    let expected = "expected a row and a column of the output, from 0, as in 0,2";
    let (row, column) = typed.split_once(',').ok_or(expected)?;
    match (row.trim().parse(), column.trim().parse()) {
        (Ok(row), Ok(column)) => Ok(WindowPlace([row, column])),
        _ => Err(expected),
    }
}
