//! Precision, recall and F1.

use super::confusion::names;
use crate::report::svg::{BarChart, ChartBar};
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::train::{ClassScores, Classification};
use crate::words::thousands;

/// The most bars of the chart.
const BARS: usize = 30;

/// Precision, recall and F1 of each class. Classes whose F1 is below the mean by more than 0.05
/// stand out.
pub fn scores(found: &Classification) -> ReportSection {
    let names = names(found);
    let mean = found.macro_average.f1;
    let bars = lowest(&found.classes).into_iter().map(|class| {
        let scores = &found.classes[class];
        ChartBar {
            name: names[class].clone(),
            value: scores.f1,
            text: cell(scores, scores.f1),
            strong: scores.images > 0 && scores.f1 < mean - 0.05,
        }
    });
    let which = match names.len() {
        ..=BARS => "of each class".to_owned(),
        n => format!("of the {BARS} classes of {n} in which it is lowest"),
    };
    let chart = BarChart {
        label: format!("F1 {which}"),
        bars: bars.collect(),
        most: Some(1.0),
    };
    let caption = format!(
        "F1 {which}: the harmonic mean of precision (how many of the images classified as the class belong to \
         it) and recall (how many of the class's images were found). Orange: below the mean by more than 0.05."
    );
    let figure = Figure::new("f1", Drawing::Svg(chart.draw()), caption);
    let mut section = ReportSection::new("scores", "Precision, recall and F1")
        .with(ReportBlock::Figures(vec![figure]))
        .with(ReportBlock::Table(table(found, &names)));
    if !found.left_out.is_empty() {
        let left_out = found.left_out.iter().filter_map(|&class| names.get(class));
        let left_out: Vec<&str> = left_out.map(String::as_str).collect();
        section = section.with(ReportBlock::Missing(format!(
            "Left out of the means, because they have no test images: {}.",
            left_out.join(", ")
        )));
    }
    section
}

/// The classes of the chart: all in their order or, of many, those with images whose F1 is lowest.
fn lowest(classes: &[ClassScores]) -> Vec<usize> {
    let all = 0..classes.len();
    if classes.len() <= BARS {
        return all.collect();
    }
    let mut lowest: Vec<usize> = all.filter(|&class| classes[class].images > 0).collect();
    lowest.sort_by(|&a, &b| classes[a].f1.total_cmp(&classes[b].f1));
    lowest.truncate(BARS);
    lowest
}

fn cell(scores: &ClassScores, value: f64) -> String {
    match scores.images {
        0 => "–".into(),
        _ => format!("{value:.4}"),
    }
}

fn table(found: &Classification, names: &[String]) -> Table {
    let mut table = Table::new(["class", "precision", "recall", "F1", "images"])
        .folded("Every class in numbers");
    let means = ("mean, and all images".to_owned(), &found.macro_average);
    let rows = names.iter().cloned().zip(&found.classes).chain([means]);
    for (name, scores) in rows {
        let [precision, recall, f1] =
            [scores.precision, scores.recall, scores.f1].map(|value| cell(scores, value));
        table.row([name, precision, recall, f1, thousands(scores.images)]);
    }
    table
}
