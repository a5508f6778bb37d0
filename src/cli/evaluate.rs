//! `cnn-gpu evaluate`.

use std::path::PathBuf;

use cnn_gpu::Error;
use cnn_gpu::data::Interpolation;
use cnn_gpu::data::{Dataset, DatasetSpec, ReadOptions};
use cnn_gpu::run::Config;
use cnn_gpu::shape::dims;
use cnn_gpu::train::{Classification, Evaluation, Trainer};
use serde::Serialize;

use super::data::{self, dataset_spec, described, interpolation};
use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::output::{self, OutputFormat, accuracy, say};
use super::trained_model::TrainedModel;

/// Measure loss and accuracy of trained weights on a test set
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run folder, imported folder or model.safetensors file
    #[arg(value_name = "RUN")]
    path: PathBuf,
    /// Data set to test on [default: the run's; auto for an imported network or for a file outside a
    /// run folder]; a folder of pictures without a sub-folder test is used whole
    #[arg(long, value_name = "NAME", value_parser = dataset_spec)]
    dataset: Option<DatasetSpec>,

    /// Folder with the four files of MNIST, Fashion-MNIST or KMNIST
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// Skip pictures that cannot be read
    #[arg(long)]
    skip_unreadable: bool,

    /// How to resize pictures to the model's input_shape [default: as in the run]
    #[arg(long, value_name = "HOW", value_parser = interpolation())]
    interpolation: Option<Interpolation>,
    /// Also report top-k accuracy, precision, recall and F1 per class, the confusion matrix and the
    /// worst mistakes
    #[arg(long)]
    metrics: bool,
    /// The k of top-k accuracy [default: 3, or the number of classes if smaller]
    #[arg(
        long,
        value_name = "K",
        requires = "metrics",
        allow_negative_numbers = true
    )]
    top_k: Option<usize>,

    /// Number of worst mistakes to list
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10,
        requires = "metrics",
        allow_negative_numbers = true
    )]
    worst: usize,

    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: OutputFormat,

    #[command(flatten)]
    device: DeviceArgs,
}

/// The default k of top-k accuracy, for models with at least as many classes.
const TOP_K: usize = 3;

const EXAMPLES: &str = "\
Examples:
  cnn-gpu evaluate runs/first
  cnn-gpu evaluate runs/first --metrics          which digits are mistaken for which?
  cnn-gpu evaluate runs/first --dataset digits   on another data set
  cnn-gpu evaluate model.safetensors --backend cpu --format json";

/// The requested scores.
#[derive(Serialize)]
#[serde(untagged)]
enum Scores {
    Few(Evaluation),
    All(Classification),
}

#[derive(Serialize)]
struct EvaluationRecord<'a> {
    #[serde(flatten)]
    scores: Scores,
    dataset: &'a str,
    dataset_source: &'a str,
    backend: String,
    adapter: String,
    weights_hash: String,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let device = args.device.open()?;
    let trained = TrainedModel::open(&args.path)?;
    let (test, is_own) = test(&args, &trained)?;
    let test = trained.matched(test)?;
    let config = trained.config.clone();
    let mut trainer = trained.trainer(&device)?;
    say(&format!("data: {}", described(&test)));
    if let Some(config) = &config {
        compare(config, &test, is_own);
    }
    announce(&trainer.describe(), &device);
    let scores = if args.metrics {
        let classes = trainer.model().output_shape()?.iter().product();
        let k = args.top_k.unwrap_or(TOP_K.min(classes));
        Scores::All(trainer.classify(&test, k, args.worst)?)
    } else {
        Scores::Few(trainer.evaluate(&test)?)
    };
    match args.format {
        OutputFormat::Text => output::print(&text(&scores, &test.name))?,
        OutputFormat::Json => output::print_json(&record(&trainer, &test, scores))?,
    }
    Ok(Exit::Success)
}

/// The test images, and whether they are those that the run's own data set holds out.
fn test(args: &Args, trained: &TrainedModel) -> anyhow::Result<(Dataset, bool)> {
    let is_unknown = trained.import.is_some() && args.dataset.is_none();
    if is_unknown && trained.model.input_shape != [28, 28, 1] {
        return Err(Error::Argument(format!(
            "an imported network has no data set of its own: expected --dataset, with images of {}",
            dims(&trained.model.input_shape)
        ))
        .into());
    }
    let own = trained.config.as_ref().map(|_| trained.data());
    let spec = args.dataset.clone().unwrap_or_else(|| trained.data());
    let record = (trained.config.as_ref())
        .filter(|_| own.as_ref().is_some_and(|own| data::is_same(own, &spec)))
        .map(|config| &config.dataset);
    let read = ReadOptions::default()
        .shape(trained.model.input_shape)
        .skip_unreadable(args.skip_unreadable || record.is_some_and(|r| r.skip_unreadable))
        .interpolation((args.interpolation).unwrap_or_else(|| trained.interpolation()));
    let picture_flags = [
        ("--skip-unreadable", args.skip_unreadable),
        ("--interpolation", args.interpolation.is_some()),
    ];
    for line in data::without_pictures(&spec, &picture_flags) {
        say(&format!("note: {line}"));
    }
    let folder = (args.data_dir.clone()).or_else(|| trained.folder(&spec));
    let folder = folder.as_deref();
    if record.is_none() {
        return Ok((data::load_test(&spec, folder, read)?, false));
    }
    if args.dataset.is_some() {
        say("note: the run was trained on this data set; testing on the images that it holds out");
    }
    Ok((data::load(&spec, folder, read, false)?.splits.test, true))
}

fn compare(config: &Config, test: &Dataset, is_own: bool) {
    if config.dataset.test_fingerprint == test.fingerprint() {
        return;
    }
    if is_own {
        say(&format!(
            "warning: the data set {} has changed since the run, so the run may have been trained on some \
             of these test images",
            config.dataset.name
        ));
    } else {
        say(&format!(
            "note: the run was tested on other images ({})",
            config.dataset.name
        ));
    }
}

fn text(scores: &Scores, dataset: &str) -> String {
    let (few, more) = match scores {
        Scores::Few(few) => (few, String::new()),
        Scores::All(all) => (&all.scores, all.to_string()),
    };
    format!(
        "loss      {:.4}\naccuracy  {}\n{more}",
        few.loss,
        accuracy(few, dataset)
    )
}

fn record<'a>(trainer: &Trainer, test: &'a Dataset, scores: Scores) -> EvaluationRecord<'a> {
    let device = trainer.describe();
    EvaluationRecord {
        scores,
        dataset: &test.name,
        dataset_source: &test.source,
        backend: device.backend,
        adapter: device.adapter,
        weights_hash: trainer.state().weights_hash(),
    }
}
