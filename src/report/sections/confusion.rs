//! Which classes are mistaken for which.

use crate::report::svg::HeatMap;
use crate::report::text::percent;
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::train::Classification;
use crate::words::thousands;

/// Up to this many classes the matrix is also a table.
const TABLE: usize = 30;
/// Rows of the list of confusions beside a table.
const LISTED: usize = 20;
/// Rows of the list of confusions without one.
const MOST_LISTED: usize = 2000;

/// The confusion matrix, with counts and shares, and the most frequent confusions.
pub fn confusion(found: &Classification) -> ReportSection {
    let names = names(found);
    let n = found.confusion.len();
    let map = HeatMap {
        label: format!("Confusion matrix of {n} classes; the tables below have its numbers"),
        x_label: "predicted".into(),
        y_label: "label".into(),
        names: &names,
        counts: &found.confusion,
    };
    let caption = "Each row holds the test images of one label, each column those of one prediction. A share \
                   is that of the row; mistakes are orange.";
    let hover = match n {
        ..=TABLE => "",
        _ => " A pointer that rests on a cell shows its count and its share.",
    };
    let drawing = Drawing::Svg(map.draw());
    let figure = Figure::new("confusion-matrix", drawing, format!("{caption}{hover}"));
    let section = ReportSection::new("confusion", "Confusion matrix")
        .with(ReportBlock::Figures(vec![figure]))
        .with(ReportBlock::Table(most_frequent(found, &names)));
    if n <= TABLE {
        section.with(ReportBlock::Table(matrix(found, &names)))
    } else {
        section
    }
}

/// The name of each class, or its number.
pub(super) fn names(found: &Classification) -> Vec<String> {
    let name = |class: usize| match found.class_names.get(class) {
        Some(name) => name.clone(),
        None => class.to_string(),
    };
    (0..found.confusion.len()).map(name).collect()
}

fn share(count: u64, row: &[u64]) -> f64 {
    count as f64 / row.iter().sum::<u64>().max(1) as f64
}

fn most_frequent(found: &Classification, names: &[String]) -> Table {
    let mut pairs: Vec<(usize, usize, u64)> = Vec::new();
    for (label, row) in found.confusion.iter().enumerate() {
        let wrong = row
            .iter()
            .enumerate()
            .filter(|(class, count)| *class != label && **count > 0);
        pairs.extend(wrong.map(|(class, &count)| (label, class, count)));
    }
    pairs.sort_by_key(|&(label, class, count)| (std::cmp::Reverse(count), label, class));
    let listed = match found.confusion.len() {
        ..=TABLE => LISTED,
        _ => MOST_LISTED,
    };
    let title = match pairs.len() {
        0 => "No confusions".to_owned(),
        1 => "The only confusion".to_owned(),
        all if all <= listed => format!("All {all} different confusions"),
        all => format!("The {listed} most frequent of {all} different confusions"),
    };
    let mut table =
        Table::new(["label", "predicted", "images", "share of the label"]).folded(title);
    for (label, class, count) in pairs.into_iter().take(listed) {
        let share = percent(share(count, &found.confusion[label]));
        table.row([
            names[label].clone(),
            names[class].clone(),
            thousands(count),
            share,
        ]);
    }
    table
}

fn matrix(found: &Classification, names: &[String]) -> Table {
    let head = std::iter::once("label \\ predicted".to_owned()).chain(names.iter().cloned());
    let mut table = Table::new(head).folded("The matrix in numbers");
    for (name, row) in names.iter().zip(&found.confusion) {
        let cells = row.iter().map(|&count| match count {
            0 => "0".to_owned(),
            _ => format!("{} ({})", thousands(count), percent(share(count, row))),
        });
        table.row(std::iter::once(name.clone()).chain(cells));
    }
    table
}
