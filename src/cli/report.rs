//! `cnn-gpu report`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cnn_gpu::Error;
use cnn_gpu::data::prepare;
use cnn_gpu::exec::Device;
use cnn_gpu::report::sections::{ComparedRun, OperationTimes, comparison};
use cnn_gpu::report::{Chosen, Report, RunReport};
use cnn_gpu::run::RunFolder;
use cnn_gpu::train::Options;
use cnn_gpu::words::counted;

use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::output::{self, say};
use super::test_args::TestArgs;
use super::trained_model::{TrainedModel, imported};
use super::{one_line, predict};

/// Write a run, or the comparison of several, as one HTML file with pictures
///
/// The file needs no network and no JavaScript, and has the same bytes for the same run and device.
/// What cannot be shown, such as a validation that was not run, is named in it.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder of a run or of an imported network, or model.safetensors file; several runs are
    /// compared
    #[arg(value_name = "RUN", required = true)]
    paths: Vec<PathBuf>,

    /// File to write [default: report.html in the run's folder; comparison.html for several runs]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Also write each picture into a folder, as SVG or PNG
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,

    /// Image whose activations and evidence are shown: the index of a test image, or a picture file
    /// [default: the worst mistake; without one, the image whose label is least probable]
    #[arg(long, value_name = "INDEX|FILE", allow_negative_numbers = true)]
    image: Option<String>,

    /// Layer whose output Grad-CAM weights [default: the last convolution]
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,

    /// Number of worst mistakes to show [default: 12]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    worst: Option<usize>,

    /// Most images in the maps of the last hidden layer [default: 1000]
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=5000))]
    points: Option<u16>,

    #[command(flatten)]
    test: TestArgs,

    #[command(flatten)]
    device: DeviceArgs,
}

const EXAMPLES: &str = "\
Examples:
  cnn-gpu report runs/first                          writes runs/first/report.html
  cnn-gpu report runs/first --image 17               looks closely at test image 17
  cnn-gpu report runs/first --image photo.jpg --layer conv2d_1
  cnn-gpu report runs/first --pictures pictures      also writes every picture as a file
  cnn-gpu report runs/first runs/second              compares runs: writes comparison.html";

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let (report, out) = match args.paths.as_slice() {
        [path] => (report(&args, path)?, out(path)),
        several => (compare(&args, several)?, "comparison.html".into()),
    };
    let out = args.out.clone().unwrap_or(out);
    report.save(&out)?;
    if let Some(folder) = &args.pictures {
        let files = report.save_pictures(folder)?;
        let pictures = counted(files.len(), "picture");
        say(&format!("wrote {pictures} into {}", folder.display()));
    }
    output::print(&format!("{}\n", out.display()))?;
    Ok(Exit::Success)
}

/// Where the report of a run goes: into its folder, or beside its weights.
fn out(path: &Path) -> PathBuf {
    let folder = if path.is_dir() {
        Some(path)
    } else {
        path.parent()
    };
    folder.unwrap_or(Path::new("")).join("report.html")
}

fn report(args: &Args, path: &Path) -> anyhow::Result<Report> {
    let trained = TrainedModel::open(path)?;
    let folder = trained.home.as_deref().map(RunFolder::open).transpose()?;
    let mut made = RunReport::new(title(path), trained.model.clone(), trained.state.clone());
    if let Some(folder) = &folder {
        (made.epochs, made.outcome) = (folder.history()?, folder.outcome()?);
    }
    made.config.clone_from(&trained.config);
    made.import.clone_from(&trained.import);
    made.layer.clone_from(&args.layer);
    made.worst = args.worst.unwrap_or(made.worst);
    made.points = args.points.map_or(made.points, usize::from);
    made.chosen = chosen(args, &trained)?;
    made.check()?;
    made.test = test(args, &trained)?;
    let named = made.test.as_ref().map(|test| test.class_names.clone());
    made.class_names = named.unwrap_or_default();
    if made.class_names.is_empty() {
        made.class_names = trained.class_names();
    }
    let device = args.device.open()?;
    announce(&device.describe(), &device);
    made.times = times(&trained, &device)?;
    Ok(made.report(&device)?)
}

/// The name of the run's folder, or of the file.
fn title(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let is_weights = path
        .file_name()
        .is_some_and(|name| name == "model.safetensors");
    let named = if is_weights {
        path.parent().unwrap_or(&path)
    } else {
        &path
    };
    let name = named.file_name().unwrap_or(named.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The image to look at closely.
fn chosen(args: &Args, trained: &TrainedModel) -> anyhow::Result<Chosen> {
    let Some(image) = &args.image else {
        return Ok(Chosen::Worst);
    };
    if let Ok(index) = image.parse() {
        return Ok(Chosen::Test(index));
    }
    if image.parse::<i64>().is_ok() {
        return Err(Error::Argument(format!(
            "no image {image}: expected an index from 0, or a picture's file"
        ))
        .into());
    }
    let shape = trained.model.input_shape;
    let as_mnist = shape == [prepare::SIDE, prepare::SIDE, 1] && trained.knows_digits();
    let interpolation = (args.test.interpolation).unwrap_or_else(|| trained.interpolation());
    let path = Path::new(image);
    let (pixels, _) = predict::read(path, shape, (as_mnist, interpolation))?;
    if pixels.len() != shape.iter().product::<usize>() {
        let message = "holds several images: choose a file with one, or the index of a test image";
        return Err(Error::file(path, message).into());
    }
    Ok(Chosen::Other {
        name: image.clone(),
        pixels,
    })
}

/// The test images, or why there are none: those of the run may be gone since.
fn test(
    args: &Args,
    trained: &TrainedModel,
) -> anyhow::Result<Result<cnn_gpu::data::Dataset, String>> {
    let asked = args.test.dataset.is_some() || args.test.data_dir.is_some();
    let needed = args
        .image
        .as_ref()
        .is_some_and(|image| image.parse::<usize>().is_ok());
    if trained.config.is_none() && !asked && !needed && !trained.knows_digits() {
        let why = "which images the network was trained on is not known; --dataset chooses some";
        return Ok(Err(why.into()));
    }
    match args.test.load(trained) {
        Ok(test) => Ok(Ok(test)),
        Err(error) if asked || needed => Err(error),
        Err(error) => {
            let why = one_line(&error);
            say(&format!("warning: the report lacks the test images: {why}"));
            Ok(Err(why))
        }
    }
}

/// The times of the operations, which the run's folder keeps.
fn times(
    trained: &TrainedModel,
    device: &Device,
) -> cnn_gpu::Result<Result<OperationTimes, String>> {
    let Some(home) = &trained.home else {
        let why =
            "they are measured once and kept in the folder of a run, and these weights have none";
        return Ok(Err(why.into()));
    };
    let config = trained.config.as_ref();
    let options = config.map_or_else(Options::default, |config| config.training.clone());
    let rows = options.micro_batch.unwrap_or(options.batch_size);
    let rows = rows.min(options.batch_size);
    let model = (&trained.model, options.optimizer, rows);
    let path = RunFolder::open(home)?.times_path();
    match OperationTimes::kept(&path, device, model.0, model.1, model.2) {
        Ok(times) => Ok(Ok(times)),
        Err(error @ (Error::File { .. } | Error::TooLarge { .. } | Error::Model { .. })) => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// The given flags that a comparison, which computes nothing, ignores.
fn ignored(args: &Args) -> Vec<&'static str> {
    let own = [
        ("--image", args.image.is_some()),
        ("--layer", args.layer.is_some()),
        ("--worst", args.worst.is_some()),
        ("--points", args.points.is_some()),
    ];
    let given = own.into_iter().filter(|(_, given)| *given);
    given
        .map(|(flag, _)| flag)
        .chain(args.test.given())
        .chain(args.device.given())
        .collect()
}

/// The folder of a run, whose settings and history can be compared.
fn run_folder(path: &Path) -> cnn_gpu::Result<RunFolder> {
    const EXPECTED: &str =
        "expected the folder of a run: a comparison needs its settings and history";
    if path.is_file() {
        return Err(Error::file(path, format!("is a file; {EXPECTED}")));
    }
    let folder = RunFolder::open(path)?;
    if imported(&folder).is_some() {
        return Err(Error::file(
            path,
            format!("is an imported network; {EXPECTED}"),
        ));
    }
    Ok(folder)
}

/// Checks that no run is given twice, as its curves would hide each other.
fn check_distinct(paths: &[PathBuf]) -> cnn_gpu::Result<()> {
    let mut known = BTreeSet::new();
    for path in paths {
        if !known.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())) {
            return Err(Error::Argument(format!(
                "{} is given twice: expected different runs to compare",
                path.display()
            )));
        }
    }
    Ok(())
}

fn compare(args: &Args, paths: &[PathBuf]) -> anyhow::Result<Report> {
    check_distinct(paths)?;
    let names: Vec<String> = paths.iter().map(|path| title(path)).collect();
    let are_unique = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    let mut runs = Vec::new();
    for (path, name) in paths.iter().zip(names) {
        let folder = run_folder(path)?;
        let name = if are_unique {
            name
        } else {
            path.display().to_string()
        };
        let mut run = ComparedRun::new(name, folder.config()?, folder.history()?);
        run.outcome = folder.outcome()?;
        runs.push(run);
    }
    for flag in ignored(args) {
        say(&format!(
            "note: {flag} has no effect, as several runs are compared"
        ));
    }
    let sections = comparison(&runs)?;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = format!("Comparison of {}", counted(runs.len(), "run"));
    let report = Report::new(title).summary(format!("{}.", names.join(", ")));
    Ok(sections.into_iter().fold(report, Report::add))
}
