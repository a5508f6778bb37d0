//! `cnn-gpu show`.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use cnn_gpu::Error;
use cnn_gpu::data::sheet::sheet;
use cnn_gpu::data::{Dataset, DatasetSpec, ReadOptions, Splits};

use super::blocks::{Colours, columns_that_fit, draw};
use super::columns::columns;
use super::data::{self, dataset_spec, described};
use super::exit::Exit;
use super::output::{self, say};

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

    /// Index of the first sample, from 0 [default: 5, the lab's `train_images[5]`, or the last
    /// sample]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    index: Option<usize>,

    /// Number of samples
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,

    /// Print the shapes of the arrays instead, as NumPy does, with one-hot labels
    #[arg(long, conflicts_with_all = ["test", "index", "count", "out", "scale"])]
    shapes: bool,

    /// Write the samples to a PNG file instead of the terminal
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(png))]
    out: Option<PathBuf>,

    /// Enlargement of the samples in a PNG file
    #[arg(long, value_name = "N", default_value_t = 8, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    scale: u16,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu show                                   the lab's train_images[5], a 2
  cnn-gpu show --shapes                          the lab's train_images.shape and train_labels.shape
  cnn-gpu show --dataset digits --index 0 --count 8
  cnn-gpu show --dataset folder:pets --count 40 --out pets.png

Grey images are drawn dark on light, as in the lab.";

/// The sample that the Keras lab shows.
const LAB: usize = 5;
/// Samples per row of a PNG file.
const SHEET_COLUMNS: usize = 10;
/// Maximum width and height of a PNG file, in pixels.
const MAX_SIDE: usize = 32_768;

/// Rejects a path that does not end in .png.
pub fn png(path: PathBuf) -> Result<PathBuf, &'static str> {
    match path.extension() {
        Some(kind) if kind.eq_ignore_ascii_case("png") => Ok(path),
        _ => Err("expected a file name that ends in .png"),
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    // Without a seed, pictures are in the order of their paths.
    let read =
        (ReadOptions::default().seed(None).inspect(true)).skip_unreadable(args.skip_unreadable);
    let splits = data::load(&args.dataset, args.data_dir.as_deref(), read, false)?.splits;
    if args.shapes {
        output::print(&shapes(&splits))?;
        return Ok(Exit::Success);
    }
    let set = if args.test { splits.test } else { splits.train };
    say(&format!("data: {}", described(&set)));
    let indices = indices(&args, &set)?;
    match &args.out {
        Some(path) => {
            let scale = fitting_scale(&set, indices.len(), args.scale.into());
            sheet(&set, &indices, SHEET_COLUMNS, scale).save(path)?;
            for index in &indices {
                output::print(&format!("{}\n", title(&set, *index)))?;
            }
            say(&format!("wrote {}", path.display()));
        }
        None => output::print(&drawing(&set, &indices))?,
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

/// The requested scale, or the largest one that keeps the sheet within [`MAX_SIDE`].
fn fitting_scale(set: &Dataset, samples: usize, scale: usize) -> usize {
    let [height, width, _] = set.shape();
    let rows = samples.div_ceil(SHEET_COLUMNS);
    let side = (width * SHEET_COLUMNS.min(samples)).max(height * rows);
    scale.min(MAX_SIDE / side.max(1)).max(1)
}

fn title(set: &Dataset, index: usize) -> String {
    let class = usize::from(set.labels()[index]);
    format!("[{index}] {}", set.class_name(class))
}

/// Draws the samples in half blocks, as many side by side as fit in the terminal.
fn drawing(set: &Dataset, indices: &[usize]) -> String {
    let colours = if std::io::stdout().is_terminal() {
        Colours::from_env()
    } else {
        Colours::None
    };
    let side_by_side = columns_that_fit(set.shape()[1]);
    let mut out = String::new();
    for row in indices.chunks(side_by_side) {
        let titles: Vec<String> = row.iter().map(|&index| title(set, index)).collect();
        out += &draw(set, row, &titles, colours);
    }
    out
}
