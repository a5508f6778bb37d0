//! `cnn-gpu evaluate`.

use std::path::PathBuf;

use cnn_gpu::data::Dataset;
use cnn_gpu::train::{Classification, Evaluation, TestTimeAugmentation, Trainer};
use serde::Serialize;

use super::device::{DeviceArgs, announce};
use super::exit::Exit;
use super::output::{self, OutputFormat, accuracy};
use super::test_args::TestArgs;
use super::trained_model::TrainedModel;
use super::tta_args::TtaArgs;

/// Measure loss and accuracy of trained weights on a test set
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Run folder, imported folder or model.safetensors file
    #[arg(value_name = "RUN")]
    path: PathBuf,

    #[command(flatten)]
    test: TestArgs,

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

    #[command(flatten)]
    tta: TtaArgs,

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
  cnn-gpu evaluate runs/cifar --tta flip+shift   averaged over six variants of each image
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
    #[serde(skip_serializing_if = "Option::is_none")]
    tta: Option<TestTimeAugmentation>,
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
    let test = args.test.load(&trained)?;
    let mut trainer = trained.trainer(&device)?;
    announce(&trainer.describe(), &device);
    let tta = args.tta.announced(trainer.model());
    let scores = if args.metrics {
        let classes = trainer.model().output_shape()?.iter().product();
        let k = args.top_k.unwrap_or(TOP_K.min(classes));
        Scores::All(match tta {
            Some(tta) => trainer.classify_averaged(&test, tta, k, args.worst)?,
            None => trainer.classify(&test, k, args.worst)?,
        })
    } else {
        Scores::Few(match tta {
            Some(tta) => trainer.evaluate_averaged(&test, tta)?,
            None => trainer.evaluate(&test)?,
        })
    };
    match args.format {
        OutputFormat::Text => output::print(&text(&scores, &test.name))?,
        OutputFormat::Json => output::print_json(&record(&trainer, &test, (scores, tta)))?,
    }
    Ok(Exit::Success)
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

fn record<'a>(
    trainer: &Trainer,
    test: &'a Dataset,
    (scores, tta): (Scores, Option<TestTimeAugmentation>),
) -> EvaluationRecord<'a> {
    let device = trainer.describe();
    EvaluationRecord {
        scores,
        tta,
        dataset: &test.name,
        dataset_source: &test.source,
        backend: device.backend,
        adapter: device.adapter,
        weights_hash: trainer.state().weights_hash(),
    }
}
