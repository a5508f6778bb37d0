//! Which classes are mistaken for which.

use crate::error::Result;
use crate::report::raster::{ColourMap, Pixels};
use crate::report::svg::HeatMap;
use crate::report::text::percent;
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::train::Classification;
use crate::words::thousands;

/// Up to this many classes the matrix is a chart with numbers, above it a picture.
const CHART: usize = 30;
/// Rows of the list of confusions.
const LISTED: usize = 20;

/// The confusion matrix, with counts and shares, and the most frequent confusions.
///
/// # Errors
/// A classification without classes.
pub fn confusion(found: &Classification) -> Result<ReportSection> {
    let names = names(found);
    let caption = "Each row holds the test images of one label, each column those of one prediction. A share \
                   is that of the row; mistakes are orange.";
    let n = found.confusion.len();
    let drawing = if n <= CHART {
        let map = HeatMap {
            label: format!("Confusion matrix of {n} classes; the table below has its numbers"),
            x_label: "predicted".into(),
            y_label: "label".into(),
            names: &names,
            counts: &found.confusion,
        };
        Drawing::Svg(map.draw())
    } else {
        picture(&found.confusion)?
    };
    let caption = match n {
        ..=CHART => caption,
        _ => {
            "Each row holds the test images of one label, each column those of one prediction, in the order of \
              the classes; the brighter, the larger the share of the row."
        }
    };
    let section = ReportSection::new("confusion", "Confusion matrix")
        .with(ReportBlock::Figures(vec![Figure::new(
            "confusion-matrix",
            drawing,
            caption,
        )]))
        .with(ReportBlock::Table(most_frequent(found, &names)));
    Ok(if n <= CHART {
        section.with(ReportBlock::Table(matrix(found, &names)))
    } else {
        section
    })
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

fn picture(confusion: &[Vec<u64>]) -> Result<Drawing> {
    let shares = confusion.iter().flat_map(|row| {
        // Few mistakes are to be seen, too.
        row.iter().map(|&count| share(count, row).sqrt() as f32)
    });
    let colours = ColourMap::Heat.colours(&shares.collect::<Vec<_>>(), [0.0, 1.0]);
    Pixels::of(confusion.len(), &colours)
        .enlarged_to(720)
        .to_png()
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
    let mut table = Table::new(["label", "predicted", "images", "share of the label"]).folded(
        format!("The most frequent of {} different confusions", pairs.len()),
    );
    for (label, class, count) in pairs.into_iter().take(LISTED) {
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
