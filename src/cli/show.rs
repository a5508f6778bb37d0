//! `cnn-gpu show`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, TypedValueParser as _};
use cnn_gpu::Error;
use cnn_gpu::data::sheet::{sheet, sheet_size};
use cnn_gpu::data::{Dataset, DatasetSpec, ReadOptions, Splits};
use cnn_gpu::exec::{self, Backend, Selection};
use cnn_gpu::inspect;
use cnn_gpu::model::{AUGMENTATIONS, Layer, PRESETS, Sequential, augmentation};
use cnn_gpu::rng::DEFAULT_SEED;
use cnn_gpu::shape::dims;

use super::blocks::{Colours, columns_that_fit, draw};
use super::columns::columns;
use super::data::{self, dataset_spec, described};
use super::exit::Exit;
use super::model;
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

    /// Show each sample as it is and nine times as training varies it: mnist, cifar, photos (see
    /// `cnn-gpu train --augment`), or a model that starts with augmentation
    #[arg(long, value_name = "NAME")]
    augment: Option<String>,

    /// Index of the first sample, from 0 [default: 5, the lab's `train_images[5]`, or the last
    /// sample]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    index: Option<usize>,

    /// Number of samples
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    count: u16,

    /// Print the shapes of the arrays instead, as NumPy does, with one-hot labels
    #[arg(long, conflicts_with_all = ["test", "index", "count", "out", "scale", "augment"])]
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
  cnn-gpu show --dataset folder:pets --count 40 --out pets.png

Grey images are drawn as ink on paper: 0 is white and 255 black, the reverse of the lab's picture.";

/// The sample that the Keras lab shows.
const LAB: usize = 5;
/// Samples per row of a PNG file.
const SHEET_COLUMNS: usize = 10;
/// Images of a sample that augmentation makes of it: with the sample, a row of a PNG file.
const VARIANTS: usize = SHEET_COLUMNS - 1;
/// Samples that are varied at once.
const SAMPLES_AT_ONCE: usize = 16;
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
    let images_each = if augment.is_some() { 1 + VARIANTS } else { 1 };
    // Before the images are computed, as there may be too many.
    let scale = match &args.out {
        Some(_) => scale(&set, indices.len() * images_each, args.scale)?,
        None => SCALE,
    };
    let shown = match &augment {
        None => ShownSamples {
            titles: indices.iter().map(|&index| title(&set, index)).collect(),
            set,
            indices,
        },
        Some(augment) => augment.variants(&set, &indices)?,
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

/// The samples that are shown.
struct ShownSamples {
    set: Dataset,
    /// Of the samples in the set.
    indices: Vec<usize>,
    /// One for each.
    titles: Vec<String>,
}

/// What varies the samples.
enum Augment {
    /// Layers for images of any size.
    Layers(String, Vec<Layer>),
    /// A model that starts with such layers.
    Model(Sequential),
}

impl Augment {
    /// # Errors
    /// The name is no augmentation and stands for no model; or the model cannot be read.
    fn named(name: &str) -> cnn_gpu::Result<Self> {
        if let Some(layers) = augmentation(name) {
            return Ok(Self::Layers(name.to_owned(), layers));
        }
        if !PRESETS.contains(&name) && !Path::new(name).exists() {
            return Err(Error::Argument(format!(
                "--augment {name}: expected {}, or the path of a model that starts with augmentation",
                AUGMENTATIONS.join(", ")
            )));
        }
        Ok(Self::Model(model::load(name)?.0))
    }

    /// Each of these samples, followed by what augmentation makes of it.
    fn variants(&self, set: &Dataset, indices: &[usize]) -> cnn_gpu::Result<ShownSamples> {
        let shape = set.shape();
        let model = match self {
            Self::Layers(name, layers) => {
                let layers = layers.iter().cloned();
                layers.fold(Sequential::new(shape).name(name), Sequential::add)
            }
            Self::Model(model) => model.clone(),
        };
        if model.input_shape != shape {
            return Err(Error::Argument(format!(
                "--augment: the model's images are {}, and those of the data set {}",
                dims(&model.input_shape),
                dims(&shape)
            )));
        }
        let device = exec::open(&Selection::new(Backend::Cpu))?;
        let mut canvas = shape;
        let (mut images, mut labels, mut titles) = (Vec::new(), Vec::new(), Vec::new());
        // Not all at once, as floats take more room than bytes. Each part has draws of its own.
        for (part, samples) in indices.chunks(SAMPLES_AT_ONCE).enumerate() {
            let pixels = |&index: &usize| inspect::to_floats(set.image(index)).repeat(VARIANTS);
            let originals: Vec<f32> = samples.iter().flat_map(pixels).collect();
            let seed = DEFAULT_SEED + part as u64;
            let seen = inspect::augmented(&device, &model, &originals, seed)?;
            let bytes: Vec<u8> = (seen.pixels.iter().map(|x| (255.0 * x).round() as u8)).collect();
            // Layers that cut images make others of them than the samples are.
            canvas = [0, 1, 2].map(|axis| shape[axis].max(seen.shape[axis]));
            let size: usize = seen.shape.iter().product();
            for (&index, variants) in samples.iter().zip(bytes.chunks_exact(VARIANTS * size)) {
                images.extend(centred(set.image(index), shape, canvas));
                for variant in variants.chunks_exact(size) {
                    images.extend(centred(variant, seen.shape, canvas));
                }
                labels.resize(labels.len() + 1 + VARIANTS, set.labels()[index]);
                let sample = title(set, index);
                let varied = (1..=VARIANTS).map(|i| format!("{sample}, varied {i}"));
                titles.extend(std::iter::once(sample.clone()).chain(varied));
            }
        }
        let (name, classes) = (set.name.as_str(), set.classes);
        let shown = Dataset::new(name, "augmented", canvas, classes, images, labels)?;
        let set = shown.with_class_names(set.class_names.clone());
        Ok(ShownSamples {
            indices: (0..set.len()).collect(),
            set,
            titles,
        })
    }
}

/// An image in the middle of a black one.
fn centred(image: &[u8], [h, w, c]: [usize; 3], canvas: [usize; 3]) -> Vec<u8> {
    let (top, left) = ((canvas[0] - h) / 2, (canvas[1] - w) / 2);
    let mut whole = vec![0; canvas.iter().product()];
    for (row, pixels) in image.chunks_exact(w * c).enumerate() {
        let start = ((top + row) * canvas[1] + left) * c;
        whole[start..start + w * c].copy_from_slice(pixels);
    }
    whole
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

fn title(set: &Dataset, index: usize) -> String {
    let class = usize::from(set.labels()[index]);
    format!("[{index}] {}", set.class_name(class))
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
