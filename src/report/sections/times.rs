//! Time per operation.

use super::OperationTimes;
use crate::report::svg::{BarChart, ChartBar};
use crate::report::text::{duration, percent, trimmed};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::words::counted;

/// Bars of the chart.
const BARS: usize = 15;
/// Letters of a bar's name, which have room beside it.
const LETTERS: usize = 34;
/// Letters at the end of a shortened name.
const ENDING: usize = 18;

/// The operations of a training step that take longest, and all of them in a table.
pub fn times(found: &OperationTimes) -> ReportSection {
    let sum: f64 = found.operations.iter().map(|row| row.seconds).sum();
    let mut slowest: Vec<_> = found.operations.iter().zip(names(found)).collect();
    slowest.sort_by(|(a, _), (b, _)| b.seconds.total_cmp(&a.seconds));
    let bars = slowest.iter().take(BARS).map(|(row, name)| ChartBar {
        name: shortened(name),
        value: row.seconds,
        text: format!("{} ({})", duration(row.seconds), percent(row.seconds / sum)),
        strong: false,
    });
    let chart = BarChart {
        label: "Time per operation of a training step".into(),
        bars: bars.collect(),
        most: None,
    };
    let caption = match found.operations.len() {
        ..=BARS => "The operations of a training step, slowest first.".to_owned(),
        n => format!("The slowest {BARS} of the {n} operations of a training step."),
    };
    let text = format!(
        "A training step of {} on {}. {}",
        counted(found.batch_size, "image"),
        found.device,
        found.method
    );
    let figure = Figure::new("operation-times", Drawing::Svg(chart.draw()), caption);
    ReportSection::new("times", "Time per operation")
        .with(ReportBlock::Text(text))
        .with(ReportBlock::Figures(vec![figure]))
        .with(ReportBlock::Table(table(found, sum)))
}

/// The layers and the operation of each row, told apart.
fn names(found: &OperationTimes) -> Vec<String> {
    let mut dropouts: Vec<&[String]> = Vec::new();
    let mut names = Vec::new();
    for row in &found.operations {
        let layers = row.layers.as_slice();
        let operation = match row.name.as_str() {
            // The only operation whose backward pass bears the same name.
            "dropout" if dropouts.contains(&layers) => "dropout_backward",
            "dropout" => {
                dropouts.push(layers);
                "dropout_forward"
            }
            other => other,
        };
        let parts = operation.split(" + ").map(|part| part_name(layers, part));
        let parts: Vec<&str> = parts.collect();
        let name = format!("{} {}", layers.join(", "), parts.join(" + "));
        names.push(name.trim().to_owned());
    }
    names
}

/// The name of an operation without what the name of its layer says already: of `dense_forward` in the layer
/// `dense_1`, `forward`.
fn part_name<'a>(layers: &[String], operation: &'a str) -> &'a str {
    let [layer] = layers else { return operation };
    let mut phases = ["_forward", "_backward", "_statistics"].into_iter();
    let at = phases.find_map(|phase| operation.find(phase));
    match at {
        Some(at) if layer.starts_with(&operation[..at]) => &operation[at + 1..],
        _ => operation,
    }
}

/// A name without its middle, if there is no room for it: names differ at their ends.
fn shortened(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= LETTERS {
        return name.to_owned();
    }
    let (start, end) = (LETTERS - ENDING - 1, letters.len() - ENDING);
    let text = |letters: &[char]| letters.iter().collect::<String>();
    format!("{}…{}", text(&letters[..start]), text(&letters[end..]))
}

fn table(found: &OperationTimes, sum: f64) -> Table {
    let mut table = Table::new(["operation", "layer", "time", "share", "GFLOP/s"])
        .folded("Every operation in its order");
    for row in &found.operations {
        table.row([
            row.name.clone(),
            row.layers.join(", "),
            duration(row.seconds),
            percent(row.seconds / sum),
            row.gflops.map_or("–".into(), |rate| trimmed(rate, 1)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sections::OperationTime;

    fn named(rows: &[(&[&str], &str)]) -> Vec<String> {
        let operation = |(layers, name): &(&[&str], &str)| OperationTime {
            name: (*name).to_owned(),
            layers: layers.iter().map(|layer| (*layer).to_owned()).collect(),
            seconds: 0.5,
            gflops: None,
        };
        let times = OperationTimes {
            device: "a processor".into(),
            batch_size: 64,
            network: String::new(),
            method: String::new(),
            operations: rows.iter().map(operation).collect(),
        };
        names(&times).iter().map(|name| shortened(name)).collect()
    }

    #[test]
    fn bars_have_names_that_tell_them_apart() {
        let norm = ["batch_normalization"];
        let names = named(&[
            (&[], "gather"),
            (&norm, "batch_norm_statistics"),
            (&["max_pooling2d"], "pool2d_forward"),
            (&["dropout"], "dropout"),
            (&["dropout_1"], "dropout"),
            (&["dense_1"], "softmax_cross_entropy + dense_backward_input"),
            (&["dropout_1"], "dropout"),
            (&["dropout"], "dropout"),
            (&norm, "batch_norm_backward_weight"),
            (&norm, "batch_norm_backward_input"),
        ]);
        let expected = [
            "gather",
            "batch_normalization statistics",
            "max_pooling2d pool2d_forward",
            "dropout forward",
            "dropout_1 forward",
            "dense_1 softmax…y + backward_input",
            "dropout_1 backward",
            "dropout backward",
            "batch_normaliza…on backward_weight",
            "batch_normalization backward_input",
        ];
        assert_eq!(names, expected);
    }
}
