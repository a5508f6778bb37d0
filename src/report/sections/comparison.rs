//! Several runs side by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::curves::{bounds, is_wide, rates, series_of};
use super::network::{details, sources};
use crate::error::Result;
use crate::report::svg::{LineChart, LineSeries};
use crate::report::text::{accuracy, capitalized, significant};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::run::{Config, RunOutcome};
use crate::train::{EpochLogs, Metric};
use crate::words::thousands;

/// A run to compare with others.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ComparedRun {
    /// Its name, different from those of the others.
    pub name: String,
    /// Its settings.
    pub config: Config,
    /// Its epochs.
    pub epochs: Vec<EpochLogs>,
    /// Its result, if it has ended.
    pub outcome: Option<RunOutcome>,
}

impl ComparedRun {
    /// A run that has not ended.
    pub fn new(name: impl Into<String>, config: Config, epochs: Vec<EpochLogs>) -> Self {
        Self {
            name: name.into(),
            config,
            epochs,
            outcome: None,
        }
    }
}

/// The curves of several runs laid over each other, their results, and the settings in which they
/// differ.
///
/// # Errors
/// As [`Sequential::resolve`](crate::model::Sequential::resolve).
pub fn comparison(runs: &[ComparedRun]) -> Result<Vec<ReportSection>> {
    let table = ReportBlock::Table(results(runs)?);
    let section = ReportSection::new("results", "Results").with(table);
    let notes = incomparable(runs).into_iter().map(ReportBlock::Missing);
    let results = notes.fold(section, ReportSection::with);
    Ok(vec![results, curves(runs), settings(runs)?])
}

fn results(runs: &[ComparedRun]) -> Result<Table> {
    let mut table = Table::new([
        "run",
        "test accuracy",
        "test loss",
        "best validation accuracy",
        "epochs",
        "restored epoch",
        "parameters",
        "images/s",
        "hash of the weights",
    ]);
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".into());
    for run in runs {
        let outcome = run.outcome.as_ref();
        let validated = run.epochs.iter().filter_map(|logs| logs.val_accuracy);
        let hash = outcome.map(|o| o.weights_hash.chars().take(12).collect());
        table.row([
            run.name.clone(),
            or_none(outcome.and_then(|o| o.test_accuracy).map(accuracy)),
            or_none(outcome.and_then(|o| o.test_loss).map(significant)),
            or_none(validated.reduce(f64::max).map(accuracy)),
            run.epochs.len().to_string(),
            or_none(
                outcome
                    .and_then(|o| o.restored_epoch)
                    .map(|e| e.to_string()),
            ),
            thousands(run.config.model.parameter_count()? as u64),
            or_none(outcome.map(|o| thousands(o.images_per_second.round() as u64))),
            or_none(hash),
        ]);
    }
    Ok(table)
}

/// Which figures of the runs cannot be compared, and why.
fn incomparable(runs: &[ComparedRun]) -> Vec<String> {
    let differ = |of: fn(&ComparedRun) -> String| {
        let values: BTreeSet<String> = runs.iter().map(of).collect();
        values.len() > 1
    };
    let mut notes = Vec::new();
    if differ(|run| format!("{:?}", run.config.model.loss)) {
        notes.push(
            "The runs have different losses, so the values of their losses cannot be compared."
                .into(),
        );
    }
    if differ(|run| run.config.dataset.test_fingerprint.clone()) {
        notes.push(
            "The runs were tested on different images, so their test losses and accuracies cannot be compared.".into(),
        );
    }
    notes
}

fn curves(runs: &[ComparedRun]) -> ReportSection {
    let metrics = [
        Metric::Loss,
        Metric::ValLoss,
        Metric::Accuracy,
        Metric::ValAccuracy,
    ];
    let mut section = ReportSection::new("curves", "Training");
    let (mut figures, mut unmeasured) = (Vec::new(), Vec::new());
    for metric in metrics {
        // A run has the same colour in every chart.
        let found: Vec<LineSeries> = (runs.iter().enumerate())
            .filter_map(|(i, run)| series_of((i, &run.name), &run.epochs, metric))
            .collect();
        if found.is_empty() {
            unmeasured.push(words(metric));
        } else {
            figures.push(figure(metric, found));
        }
    }
    let all = runs.iter().enumerate();
    let rates = all.map(|(i, run)| rates((i, &run.name), &run.epochs));
    let rates: Vec<LineSeries> = rates.filter(|series| !series.points.is_empty()).collect();
    if !rates.is_empty() {
        let chart = LineChart {
            label: "Learning rates by epoch".into(),
            x_label: "epoch".into(),
            y_label: "learning rate".into(),
            logarithmic: is_wide(&rates),
            series: rates,
            bounds: [Some(0.0), None],
            always_named: true,
            ..LineChart::default()
        };
        let caption = "Learning rate of the last step of each epoch.";
        figures.push(Figure::new(
            "learning-rate",
            Drawing::Svg(chart.draw()),
            caption,
        ));
    }
    section = section.with(ReportBlock::Figures(figures));
    let without: Vec<&str> = runs
        .iter()
        .filter(|r| r.epochs.is_empty())
        .map(|r| r.name.as_str())
        .collect();
    if !without.is_empty() {
        section = section.with(ReportBlock::Missing(format!(
            "Without a history: {}.",
            without.join(", ")
        )));
    }
    if !unmeasured.is_empty() {
        section = section.with(ReportBlock::Missing(format!(
            "Not measured in any run: {}.",
            unmeasured.join(", ")
        )));
    }
    section
}

fn figure(metric: Metric, series: Vec<LineSeries>) -> Figure {
    let words = words(metric);
    let chart = LineChart {
        label: format!("{} of the runs by epoch", capitalized(words)),
        x_label: "epoch".into(),
        y_label: words.into(),
        series,
        bounds: bounds(metric),
        always_named: true,
        ..LineChart::default()
    };
    let id = metric.name().replace('_', "-");
    Figure::new(
        id,
        Drawing::Svg(chart.draw()),
        format!("{} by epoch.", capitalized(words)),
    )
}

fn words(metric: Metric) -> &'static str {
    match metric {
        Metric::Loss => "training loss",
        Metric::Accuracy => "training accuracy",
        Metric::ValLoss => "validation loss",
        Metric::ValAccuracy => "validation accuracy",
    }
}

/// The settings that are not the same in all runs.
fn settings(runs: &[ComparedRun]) -> Result<ReportSection> {
    let mut table =
        Table::new(std::iter::once("setting").chain(runs.iter().map(|run| run.name.as_str())));
    let mut compare = |all: &[BTreeMap<String, String>]| {
        let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
        for name in names {
            let values = all.iter().map(|settings| settings.get(name));
            let values: Vec<Option<&String>> = values.collect();
            if values.iter().any(|value| *value != values[0]) {
                let cells = values.iter().map(|value| value.map_or("–", String::as_str));
                table.row(std::iter::once(name.as_str()).chain(cells));
            }
        }
    };
    let all: Vec<BTreeMap<String, String>> =
        runs.iter().map(|run| flattened(&run.config)).collect();
    compare(&all);
    let most = runs.iter().map(|run| run.config.model.layers.len()).max();
    for index in 0..most.unwrap_or_default() {
        compare(&layer(runs, index)?);
    }
    let section = ReportSection::new("settings", "Settings that differ");
    Ok(if table.rows.is_empty() {
        section.with(ReportBlock::Text("All runs have the same settings.".into()))
    } else {
        section.with(ReportBlock::Table(table))
    })
}

/// Each setting by its path, such as `training.optimizer.learning_rate`, without the layers and
/// without those that differ from run to run by themselves.
fn flattened(config: &Config) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    if let Some(settings) = table(config) {
        let told = ["started", "command"];
        let names = settings.iter();
        for (name, value) in names.filter(|(name, _)| !told.contains(&name.as_str())) {
            flatten(name.clone(), value, &mut found);
        }
    }
    // Model files leave out the default loss.
    found.insert("model.loss.name".into(), config.model.loss.name().into());
    found.retain(|path, _| !path.starts_with("model.layers.") && !path.ends_with("device.reason"));
    for (path, value) in &mut found {
        // As of the weights' hash; the whole number would push the other runs out of the page.
        if path.ends_with("fingerprint") {
            value.truncate(12);
        }
    }
    found
}

/// Settings as `config.toml` holds them. Their text is parsed, because `toml::Value` holds 64-bit numbers, which a
/// 32-bit 0.001 becomes with all its digits.
fn table(settings: &impl Serialize) -> Option<toml::Table> {
    toml::to_string(settings).ok()?.parse().ok()
}

/// The layer with this index in each run: its settings if all have the same type, otherwise what it
/// is in words.
fn layer(runs: &[ComparedRun], index: usize) -> Result<Vec<BTreeMap<String, String>>> {
    let path = format!("model.layers.{}", index + 1);
    let kind = |run: &ComparedRun| Some(run.config.model.layers.get(index)?.spec().kind());
    let first = runs.first().and_then(kind);
    let are_alike = runs.iter().all(|run| kind(run) == first);
    let of_run = |run: &ComparedRun| {
        let mut found = BTreeMap::new();
        if are_alike {
            let layer = run.config.model.layers.get(index);
            if let Some(layer) = layer.and_then(table) {
                flatten(path.clone(), &layer.into(), &mut found);
            }
        } else {
            let layers = run.config.model.resolve()?;
            let Some(layer) = layers.get(index) else {
                return Ok(found);
            };
            let words = [layer.layer.spec().kind().to_owned()];
            let words = words.into_iter().chain(details(layer));
            let words = words.chain(sources(&layers, index));
            found.insert(path.clone(), words.collect::<Vec<_>>().join(", "));
        }
        Ok(found)
    };
    runs.iter().map(of_run).collect()
}

fn flatten(path: String, value: &toml::Value, found: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (name, value) in table {
                flatten(format!("{path}.{name}"), value, found);
            }
        }
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => {
            for (i, value) in values.iter().enumerate() {
                flatten(format!("{path}.{}", i + 1), value, found);
            }
        }
        toml::Value::String(text) if text.is_empty() => {}
        toml::Value::String(text) => {
            found.insert(path, text.clone());
        }
        other => {
            found.insert(path, other.to_string());
        }
    }
}
