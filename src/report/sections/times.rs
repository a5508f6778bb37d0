//! Time per operation.

use super::OperationTimes;
use crate::report::svg::{BarChart, ChartBar};
use crate::report::text::{duration, percent, trimmed};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::words::counted;

/// Bars of the chart.
const BARS: usize = 15;

/// The operations of a training step that take longest, and all of them in a table.
pub fn times(found: &OperationTimes) -> ReportSection {
    let sum: f64 = found.operations.iter().map(|row| row.seconds).sum();
    let mut slowest: Vec<_> = found.operations.iter().collect();
    slowest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let bars = slowest.iter().take(BARS).map(|row| ChartBar {
        name: format!("{} {}", row.layers.join(", "), row.name)
            .trim()
            .to_owned(),
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
