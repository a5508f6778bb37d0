//! `cnn-gpu predict`.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use cnn_gpu::Error;
use cnn_gpu::data::Interpolation;
use cnn_gpu::data::idx_folder::{self, IdxFile};
use cnn_gpu::data::{Picture, prepare};
use cnn_gpu::model::Loss;
use cnn_gpu::shape::dims;
use cnn_gpu::train::Prediction;
use cnn_gpu::words::counted;
use serde::Serialize;

use super::columns::columns;
use super::data::interpolation;
use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::one_line;
use super::output::{self, Results, say};
use super::trained_model::TrainedModel;
use super::tta_args::TtaArgs;

/// Classify pictures: print predictions and probabilities
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run folder, imported folder or model.safetensors file
    #[arg(value_name = "RUN")]
    path: PathBuf,

    /// Pictures of any size (PNG, JPEG, WebP, BMP, GIF, TIFF and others), or IDX files of images
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How to turn pictures into the model's input; IDX images are used as they are
    #[arg(long, value_enum, default_value_t)]
    prepare: Preparation,

    /// How to resize pictures to the model's input_shape [default: as in the run]
    #[arg(long, value_name = "HOW", value_parser = interpolation())]
    interpolation: Option<Interpolation>,

    #[command(flatten)]
    tta: TtaArgs,

    /// Output format; in csv and json, `label` is the number of the predicted class and `class` its name
    #[arg(long, value_enum, default_value_t)]
    format: PredictFormat,

    #[command(flatten)]
    device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu predict runs/first seven.png photo.jpg
  cnn-gpu predict runs/first t10k-images-idx3-ubyte --format csv > labels.csv
  cnn-gpu predict runs/pets cat.jpg --format json";

/// How to turn pictures into the model's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Preparation {
    /// `mnist` for a model trained on digits, otherwise `resize`
    #[default]
    Auto,
    /// Prepare single digits as in MNIST: scaled, centred, light on dark
    Mnist,
    /// Stretch to the model's input
    Resize,
}

/// The format of predictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum PredictFormat {
    /// A table
    #[default]
    #[value(alias = "text")]
    Table,
    /// CSV with one column per class
    Csv,
    /// One JSON object per image
    Json,
}

/// Where an image comes from: a file, and for IDX the image's index in it.
struct Origin {
    file: String,
    index: Option<usize>,
}

#[derive(Serialize)]
struct PredictionRecord<'a> {
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    label: usize,
    class: String,
    probability: f32,
    probabilities: &'a [f32],
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let trained = TrainedModel::open(&args.path)?;
    let shape = trained.model.input_shape;
    let as_mnist = as_mnist(&args, &trained)?;
    let names = trained.class_names();
    let interpolation = (args.interpolation).unwrap_or_else(|| trained.interpolation());
    let (mut origins, mut images, mut pictures) = (Vec::new(), Vec::new(), 0);
    let mut unread = Vec::new();
    for path in &args.files {
        let (bytes, is_picture) = match read(path, shape, (as_mnist, interpolation)) {
            Ok(read) => read,
            Err(error) => {
                unread.push(error);
                continue;
            }
        };
        let size: usize = shape.iter().product();
        pictures += usize::from(is_picture);
        origins.extend((0..bytes.len() / size).map(|i| Origin {
            file: path.display().to_string(),
            index: (!is_picture).then_some(i),
        }));
        images.extend(bytes);
    }
    // One unreadable file among several must not cost the others their predictions.
    if images.is_empty() && !unread.is_empty() {
        return Err(unread.swap_remove(0));
    }
    let device = args.device.open()?;
    let mut trainer = trained.trainer(&device)?;
    announce(&trainer.describe(), &device);
    if pictures > 0 {
        let how = if as_mnist {
            prepare::DESCRIPTION.to_owned()
        } else {
            format!("by stretching to {}", dims(&shape))
        };
        say(&format!("prepared {} {how}", counted(pictures, "picture")));
    }
    if args.interpolation.is_some() && (as_mnist || pictures == 0) {
        say("note: --interpolation has no effect, as no picture is stretched to the model's size");
    }
    if pictures == 0 && args.prepare != Preparation::Auto {
        say("note: --prepare has no effect, as IDX images are used as they are");
    }
    let predictions = match args.tta.announced(trainer.model()) {
        Some(tta) => trainer.predict_averaged(&images, tta)?,
        None => trainer.predict(&images)?,
    };
    let loss = trainer.model().loss;
    write(args.format, &origins, &predictions, (&names, loss))?;
    for error in &unread {
        say(&format!("error: {}", one_line(error)));
    }
    Ok(if unread.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

/// Whether to prepare pictures as in MNIST.
fn as_mnist(args: &Args, trained: &TrainedModel) -> anyhow::Result<bool> {
    let fits = trained.model.input_shape == [prepare::SIDE, prepare::SIDE, 1];
    match args.prepare {
        Preparation::Resize => Ok(false),
        Preparation::Mnist if fits => Ok(true),
        Preparation::Mnist => Err(Error::Argument(format!(
            "--prepare mnist makes images of 28x28x1: expected a model with that input_shape, received {}",
            dims(&trained.model.input_shape)
        ))
        .into()),
        Preparation::Auto => Ok(fits && trained.knows_digits()),
    }
}

/// The images of a file, and whether it is a picture.
pub fn read(
    path: &Path,
    shape: [usize; 3],
    (as_mnist, interpolation): (bool, Interpolation),
) -> anyhow::Result<(Vec<u8>, bool)> {
    if idx_folder::is_idx(path) {
        return Ok((idx_images(path, shape)?, false));
    }
    let picture = Picture::read(path)?;
    if picture.is_blank() {
        let path = path.display();
        say(&format!(
            "warning: {path} is transparent and shows a single colour"
        ));
    }
    if picture.is_clipped() {
        say(&format!(
            "note: {} has light above 1, which is clipped to 1",
            path.display()
        ));
    }
    let bytes = if as_mnist {
        prepare::digit(&picture).ok_or_else(|| {
            Error::file(
                path,
                "no digit found: expected ink that differs from the background",
            )
        })?
    } else {
        picture.resized_by(interpolation, shape)?
    };
    Ok((bytes, true))
}

fn idx_images(path: &Path, shape: [usize; 3]) -> anyhow::Result<Vec<u8>> {
    let IdxFile {
        dims: found, data, ..
    } = idx_folder::read_file(path)?;
    let [h, w, c] = shape;
    let fits = match found[..] {
        [_, height, width] => [height, width, 1] == shape,
        [_, height, width, channels] => [height, width, channels] == shape,
        _ => false,
    };
    if fits {
        return Ok(data);
    }
    let expected = if c == 1 {
        format!("[n, {h}, {w}]")
    } else {
        format!("[n, {h}, {w}, {c}]")
    };
    let message =
        format!("holds an array of shape {found:?}: expected {expected}, the model's input");
    Err(Error::file(path, message).into())
}

fn write(
    format: PredictFormat,
    origins: &[Origin],
    predictions: &[Prediction],
    (names, loss): (&[String], Loss),
) -> anyhow::Result<()> {
    let pairs = origins.iter().zip(predictions);
    match format {
        PredictFormat::Table => output::print(&table(origins, predictions, (names, loss))),
        PredictFormat::Csv => csv(pairs, names),
        PredictFormat::Json => pairs.into_iter().try_for_each(|(origin, prediction)| {
            output::print_json(&PredictionRecord {
                file: &origin.file,
                index: origin.index,
                label: prediction.class,
                class: name(names, prediction.class),
                probability: prediction.probabilities[prediction.class],
                probabilities: &prediction.probabilities,
            })
        }),
    }
}

fn name(names: &[String], class: usize) -> String {
    names
        .get(class)
        .cloned()
        .unwrap_or_else(|| class.to_string())
}

/// Each image with its class, its probability and the runner-up. The outputs of a model trained
/// with the mean squared error are not probabilities.
fn table(
    origins: &[Origin],
    predictions: &[Prediction],
    (names, loss): (&[String], Loss),
) -> String {
    let is_output = !loss.gives_probabilities();
    let what = if is_output { "output" } else { "probability" };
    let mut rows = vec![["image", "prediction", what, "next", ""].map(String::from)];
    for (origin, prediction) in origins.iter().zip(predictions) {
        let shown = |class: usize| match prediction.probabilities[class] {
            output if is_output => format!("{output:.4}"),
            probability => format!("{:.2} %", 100.0 * probability),
        };
        let (first, second) = (prediction.class, runner_up(prediction));
        rows.push([
            match origin.index {
                Some(index) => format!("{} [{index}]", origin.file),
                None => origin.file.clone(),
            },
            name(names, first),
            shown(first),
            name(names, second),
            shown(second),
        ]);
    }
    columns(&rows, |column| matches!(column, 2 | 4))
}

/// The second most probable class, or the only class.
fn runner_up(prediction: &Prediction) -> usize {
    let p = &prediction.probabilities;
    let others = (0..p.len()).filter(|&class| class != prediction.class);
    others
        .max_by(|&a, &b| p[a].total_cmp(&p[b]).then(b.cmp(&a)))
        .unwrap_or(prediction.class)
}

fn csv<'a>(
    pairs: impl Iterator<Item = (&'a Origin, &'a Prediction)>,
    names: &[String],
) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_writer(Results::default());
    for (i, (origin, prediction)) in pairs.enumerate() {
        let classes = 0..prediction.probabilities.len();
        if i == 0 {
            let header = ["file", "index", "label", "class", "probability"].map(String::from);
            let columns = classes.map(|class| name(names, class));
            writer.write_record(header.into_iter().chain(columns))?;
        }
        let class = prediction.class;
        let fields = [
            origin.file.clone(),
            origin
                .index
                .map(|index| index.to_string())
                .unwrap_or_default(),
            class.to_string(),
            name(names, class),
            prediction.probabilities[class].to_string(),
        ];
        let columns = prediction.probabilities.iter().map(f32::to_string);
        writer.write_record(fields.into_iter().chain(columns))?;
    }
    writer.flush()?;
    Ok(())
}
