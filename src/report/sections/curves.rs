//! Curves of the training.

use crate::report::svg::{LineChart, LineSeries, Marker};
use crate::report::text::{accuracy, capitalized, duration, significant};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::train::{EpochLogs, Metric};

/// Loss, accuracy and learning rate by epoch, with the epoch whose weights were restored, if any.
pub fn curves(epochs: &[EpochLogs], restored: Option<usize>) -> ReportSection {
    if epochs.is_empty() {
        let why =
            "The run has no history: no epoch was completed, or its file history.jsonl is missing.";
        return ReportSection::missing("curves", "Training", why);
    }
    let is_validated = epochs.iter().any(|logs| logs.val_loss.is_some());
    let figures = vec![
        metric(epochs, restored, [Metric::Loss, Metric::ValLoss]),
        metric(epochs, restored, [Metric::Accuracy, Metric::ValAccuracy]),
        learning_rate(epochs),
    ];
    let mut section = ReportSection::new("curves", "Training").with(ReportBlock::Figures(figures));
    if !is_validated {
        let why = "No validation was run, so whether the network memorized the training images cannot be \
                   seen here.";
        section = section.with(ReportBlock::Missing(why.into()));
    }
    section.with(ReportBlock::Table(table(epochs)))
}

/// The values of a metric by epoch; epochs without a value are left out.
pub(super) fn series_of(
    (style, name): (usize, &str),
    epochs: &[EpochLogs],
    metric: Metric,
) -> Option<LineSeries> {
    let points = epochs.iter().filter_map(|logs| {
        let value = metric.of(logs)?;
        Some([logs.epoch as f64, value])
    });
    let points: Vec<[f64; 2]> = points.collect();
    (!points.is_empty()).then(|| LineSeries {
        name: name.into(),
        style,
        points,
        ..LineSeries::default()
    })
}

/// The limits that no value of the metric passes.
pub(super) fn bounds(metric: Metric) -> [Option<f64>; 2] {
    match metric {
        Metric::Loss | Metric::ValLoss => [Some(0.0), None],
        Metric::Accuracy | Metric::ValAccuracy => [Some(0.0), Some(1.0)],
    }
}

fn metric(epochs: &[EpochLogs], restored: Option<usize>, metrics: [Metric; 2]) -> Figure {
    let [own, validation] = metrics;
    let names = [(own, "training"), (validation, "validation")];
    let series = names.into_iter().enumerate();
    let series = series.map(|(style, (metric, name))| series_of((style, name), epochs, metric));
    let chart = LineChart {
        label: format!("{} by epoch", own.name()),
        x_label: "epoch".into(),
        y_label: own.name().into(),
        series: series.flatten().collect(),
        marker: restored.map(|epoch| Marker {
            x: epoch as f64,
            label: format!("restored: epoch {epoch}"),
        }),
        bounds: bounds(own),
        ..LineChart::default()
    };
    let restored = restored.map_or(String::new(), |epoch| {
        format!(" The weights of epoch {epoch} were restored at the end.")
    });
    let caption = format!(
        "{} by epoch. {}{restored}",
        capitalized(own.name()),
        measured(epochs, metrics)
    );
    Figure::new(own.name(), Drawing::Svg(chart.draw()), caption)
}

/// When the values of a metric are measured.
fn measured(epochs: &[EpochLogs], [own, validation]: [Metric; 2]) -> String {
    let name = own.name();
    let end = match epochs.iter().any(|logs| validation.of(logs).is_some()) {
        true => format!("; the validation {name} is measured at its end"),
        false => String::new(),
    };
    format!("The training {name} is averaged over the epoch while the weights change{end}.")
}

/// The learning rates by epoch.
pub(super) fn rates((style, name): (usize, &str), epochs: &[EpochLogs]) -> LineSeries {
    let points = epochs
        .iter()
        .map(|logs| [logs.epoch as f64, f64::from(logs.learning_rate)]);
    LineSeries {
        name: name.into(),
        style,
        points: points.collect(),
        ..LineSeries::default()
    }
}

/// Whether positive values are so far apart that a linear axis would hide the small ones. A rate that
/// decays to almost nothing would hide all others on a logarithmic axis.
pub(super) fn is_wide(series: &[LineSeries]) -> bool {
    let values = || series.iter().flat_map(|s| &s.points).map(|point| point[1]);
    let (low, high) = (
        values().fold(f64::INFINITY, f64::min),
        values().fold(0.0, f64::max),
    );
    low > 0.0 && (20.0..1e5).contains(&(high / low))
}

fn learning_rate(epochs: &[EpochLogs]) -> Figure {
    let series = vec![rates((0, "learning rate"), epochs)];
    let chart = LineChart {
        label: "Learning rate by epoch".into(),
        x_label: "epoch".into(),
        y_label: "learning rate".into(),
        logarithmic: is_wide(&series),
        series,
        bounds: [Some(0.0), None],
        ..LineChart::default()
    };
    let caption = "Learning rate of the last step of each epoch.";
    Figure::new("learning-rate", Drawing::Svg(chart.draw()), caption)
}

fn table(epochs: &[EpochLogs]) -> Table {
    let mut table = Table::new([
        "epoch",
        "loss",
        "accuracy",
        "validation loss",
        "validation accuracy",
        "learning rate",
        "time",
    ])
    .folded("Every epoch in numbers");
    let optional = |value: Option<f64>, show: fn(f64) -> String| value.map_or("–".into(), show);
    for logs in epochs {
        table.row([
            logs.epoch.to_string(),
            significant(logs.loss),
            accuracy(logs.accuracy),
            optional(logs.val_loss, significant),
            optional(logs.val_accuracy, accuracy),
            significant(f64::from(logs.learning_rate)),
            duration(logs.seconds),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs() -> Vec<EpochLogs> {
        let logs = |epoch: usize| EpochLogs {
            epoch,
            loss: 1.0 / epoch as f64,
            accuracy: 0.9,
            learning_rate: 0.001,
            ..EpochLogs::default()
        };
        (1..=3).map(logs).collect()
    }

    #[test]
    fn the_restored_epoch_is_marked() {
        let section = curves(&epochs(), Some(2));
        let figures: Vec<&Figure> = section.figures().collect();
        assert_eq!(figures.len(), 3);
        assert_eq!(
            figures[0].caption,
            "Loss by epoch. The training loss is averaged over the epoch while the weights change. The weights of \
             epoch 2 were restored at the end."
        );
        let svg = String::from_utf8(figures[1].drawing.to_file()).unwrap();
        assert!(svg.contains("restored: epoch 2"), "{svg}");
    }

    #[test]
    fn what_was_not_measured_is_named() {
        let missing = |section: &ReportSection| {
            let mut blocks = section.blocks.iter();
            blocks.any(|block| matches!(block, ReportBlock::Missing(_)))
        };
        assert!(missing(&curves(&epochs(), None)));
        let mut validated = epochs();
        validated[1].val_loss = Some(0.5);
        let section = curves(&validated, None);
        assert!(!missing(&section));
        let captions: Vec<&str> = section.figures().map(|f| f.caption.as_str()).collect();
        assert!(captions[0].ends_with("; the validation loss is measured at its end."));
        assert!(captions[1].ends_with("while the weights change."));
        assert!(missing(&curves(&[], None)));
    }
}
