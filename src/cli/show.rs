//! `cnn-gpu show`.

mod variants;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use cnn_gpu::Error;
use cnn_gpu::data::sheet::{sheet, sheet_size};
use cnn_gpu::data::{Dataset, DatasetSpec, ReadOptions, Splits};
use cnn_gpu::shape::dims;
use cnn_gpu::train::Options;

use super::blocks::{Colours, columns_that_fit, draw};
use super::columns::columns;
use super::data::{self, dataset_spec, described};
use super::exit::Exit;
use super::output::{self, say};
use variants::{Augment, ShownSamples, VARIANTS, mixed, title};

/// Show samples of a data set, by default the one that the Keras lab shows
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Data set: auto, mnist, fashion-mnist, kmnist, digits, folder:PATH, idx:PATH,
    /// cifar10:PATH or npz:PATH
    #[arg(long, value_name = "NAME", default_value_t, value_parser = dataset_spec)]
    dataset: DatasetSpec,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Skip pictures that cannot be read
    #[arg(long)]
    skip_unreadable: bool,

    /// Show test samples instead of training samples
    #[arg(long)]
    test: bool,

    /// Show each sample as it is and nine times as training varies it: mnist, cifar, photos (see
    /// `cnn-gpu train --augment`), or a model that starts with augmentation
    #[arg(long, value_name = "NAME")]
    augment: Option<String>,

    /// Show each sample as it is and nine times as MixUp mixes it with others of those shown (see `cnn-gpu
    /// train --mixup`), behind --augment
    #[arg(long, value_name = "ALPHA", num_args = 0..=1, default_missing_value = "0.2", allow_negative_numbers = true)]
    mixup: Option<f64>,

    /// The same with CutMix (see `cnn-gpu train --cutmix`); with --mixup, each time one of the two
    #[arg(long, value_name = "FACTOR", num_args = 0..=1, default_missing_value = "1", allow_negative_numbers = true)]
    cutmix: Option<f64>,

    /// Index of the first sample, from 0 [default: 5, the lab's `train_images[5]`, or the last
    /// sample]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    index: Option<usize>,

    /// Number of samples
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,

    /// Print the shapes of the arrays instead, as NumPy does, with one-hot labels
    #[arg(long, conflicts_with_all = ["test", "index", "count", "out", "scale", "augment", "mixup", "cutmix"])]
    shapes: bool,

    /// Write the samples to a PNG file instead of the terminal
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(png))]
    out: Option<PathBuf>,

    /// Enlargement of the samples in a PNG file [default: 8, or less to keep large files within 4,096
    /// pixels]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    scale: Option<u16>,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu show                                   the lab's train_images[5], a 2
  cnn-gpu show --shapes                          the lab's train_images.shape and train_labels.shape
  cnn-gpu show --dataset digits --index 0 --count 8
  cnn-gpu show --augment mnist --count 4 --out augmented.png
  cnn-gpu show --mixup 0.4 --cutmix --count 6 --out mixed.png
  cnn-gpu show --dataset folder:pets --count 40 --out pets.png

Grey images are drawn as ink on paper: 0 is white and 255 black, the reverse of the lab's picture.";

/// The sample that the Keras lab shows.
const LAB: usize = 5;
/// Samples per row of a PNG file.
const SHEET_COLUMNS: usize = 10;
/// The enlargement by default.
const SCALE: usize = 8;
/// The width and height, in pixels, that the default enlargement keeps within.
const SIDE: usize = 4096;
/// The most pixels of a PNG file.
const MOST_PIXELS: usize = 1 << 27;

/// Rejects a path that does not end in .png.
pub fn png(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.extension() {
        Some(kind) if kind.eq_ignore_ascii_case("png") => Ok(path),
        _ => Err("expected a file name that ends in .png"),
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let augment = args.augment.as_deref().map(Augment::named).transpose()?;
    let mut options = Options::default();
    options.mixup = args.mixup;
    options.cutmix = args.cutmix.map(Into::into);
    let mixing = options.mixing()?;
    if mixing.is_some() && args.count < 2 {
        let flag = if args.mixup.is_some() {
            "--mixup"
        } else {
            "--cutmix"
        };
        return Err(Error::Argument(format!(
            "{flag} mixes the samples that are shown: expected --count 2 or more, received {}",
            args.count
        ))
        .into());
    }
    // Without a seed, pictures are in the order of their paths.
    let mut read =
        (ReadOptions::default().seed(None).inspect(true)).skip_unreadable(args.skip_unreadable);
    if let Some(Augment::Model(model)) = &augment {
        read = read.shape(model.input_shape);
    }
    let splits = data::load(&args.dataset, args.data_dir.as_deref(), read, false)?.splits;
    if args.shapes {
        output::print(&shapes(&splits))?;
        return Ok(Exit::Success);
    }
    let set = if args.test { splits.test } else { splits.train };
    say(&format!("data: {}", described(&set)));
    let indices = indices(&args, &set)?;
    let varies = augment.is_some() || mixing.is_some();
    let images_each = if varies { 1 + VARIANTS } else { 1 };
    // Before the images are computed, as there may be too many.
    let scale = match &args.out {
        Some(_) => scale(&set, indices.len() * images_each, args.scale)?,
        None => SCALE,
    };
    let shown = match (&augment, mixing) {
        (_, Some(mixing)) => mixed(augment.as_ref(), mixing, &set, &indices)?,
        (None, None) => ShownSamples {
            titles: indices.iter().map(|&index| title(&set, index)).collect(),
            set,
            indices,
        },
        (Some(augment), None) => augment.variants(&set, &indices)?,
    };
    match &args.out {
        Some(path) => {
            sheet(&shown.set, &shown.indices, SHEET_COLUMNS, scale).save(path)?;
            for title in &shown.titles {
                output::print(&format!("{title}\n"))?;
            }
            say(&format!("wrote {}", path.display()));
        }
        None => output::print(&drawing(&shown))?,
    }
    Ok(Exit::Success)
}

/// The lab's `train_images.shape` and `train_labels.shape`, after `to_categorical`, and those of the
/// other images.
fn shapes(splits: &Splits) -> String {
    let parts = [
        ("train", Some(&splits.train)),
        ("val", splits.validation.as_ref()),
        ("test", Some(&splits.test)),
    ];
    let mut rows = Vec::new();
    for (part, set) in parts {
        let Some(set) = set.filter(|set| !set.is_empty()) else {
            continue;
        };
        let (n, [h, w, c]) = (set.len(), set.shape());
        rows.push([
            format!("{part}_images.shape"),
            format!("({n}, {h}, {w}, {c})"),
        ]);
        rows.push([
            format!("{part}_labels.shape"),
            format!("({n}, {})", set.classes),
        ]);
    }
    columns(&rows, |_| false)
}

fn indices(args: &Args, set: &Dataset) -> cnn_gpu::Result<Vec<usize>> {
    let samples = set.len();
    if samples == 0 {
        let message = format!("{} has no test samples: omit --test", set.source);
        return Err(Error::Argument(message));
    }
    let index = args.index.unwrap_or(LAB.min(samples - 1));
    if index >= samples {
        return Err(Error::Argument(format!(
            "--index must be below {samples}, the number of samples, received {index}"
        )));
    }
    let last = index.saturating_add(args.count.into());
    Ok((index..last.min(samples)).collect())
}

/// The requested scale or, by default, the largest one up to [`SCALE`] that keeps the sheet within
/// [`SIDE`].
fn scale(set: &Dataset, samples: usize, asked: Option<u16>) -> cnn_gpu::Result<usize> {
    let [width, height] = sheet_size(set.shape(), samples, SHEET_COLUMNS);
    let fitting = SCALE.min(SIDE / width.max(height)).max(1);
    let scale = asked.map_or(fitting, usize::from);
    let [width, height] = [width * scale, height * scale];
    if width.saturating_mul(height) <= MOST_PIXELS {
        return Ok(scale);
    }
    let smaller = if scale > 1 {
        " or a smaller --scale"
    } else {
        ""
    };
    Err(Error::Argument(format!(
        "{samples} images of {} make a picture of {width}x{height} pixels: expected at most {MOST_PIXELS} pixels; \
         choose a smaller --count{smaller}",
        dims(&set.shape())
    )))
}

/// Draws the samples in half blocks, as many side by side as fit in the terminal.
fn drawing(shown: &ShownSamples) -> String {
    let colours = if std::io::stdout().is_terminal() {
        Colours::from_env()
    } else {
        Colours::None
    };
    let side_by_side = columns_that_fit(shown.set.shape()[1]);
    let mut out = String::new();
    let rows = shown.indices.chunks(side_by_side);
    for (row, titles) in rows.zip(shown.titles.chunks(side_by_side)) {
        out += &draw(&shown.set, row, titles, colours);
    }
    out
}
