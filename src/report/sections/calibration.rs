//! Calibration.

use crate::inspect::{Calibration, CalibrationBin};
use crate::report::svg::reliability;
use crate::report::text::percent;
use crate::report::{Drawing, Figure, ReportBlock, ReportSection, Table};
use crate::words::{counted, thousands};

/// The reliability diagram and the calibration errors.
pub fn calibration(found: &Calibration) -> ReportSection {
    let error = percent(found.expected_error);
    let by_gap = |a: &&CalibrationBin, b: &&CalibrationBin| a.gap().abs().total_cmp(&b.gap().abs());
    let worst = found
        .bins
        .iter()
        .filter(|bin| bin.images > 0)
        .max_by(by_gap);
    let worst = worst.map_or(String::new(), |bin| {
        let images = counted(bin.images, "image");
        format!(
            ", and by {} at most, in the bin of {images} around {}",
            percent(bin.gap().abs()),
            percent(bin.confidence)
        )
    });
    let text = format!(
        "The probabilities differ from the accuracy by {error} on average (the expected calibration error over {} \
         bins){worst}.",
        found.bins.len()
    );
    let caption = "Above, the accuracy of the images whose prediction has a certain confidence, the probability \
                   of the predicted class. On the dashed diagonal both are equal. Orange: the network is too sure; \
                   green: not sure enough. Below, the share of the images.";
    let label = format!("Reliability diagram; expected calibration error {error}");
    let figure = Figure::new(
        "reliability",
        Drawing::Svg(reliability(found, &label)),
        caption,
    );
    ReportSection::new("calibration", "Calibration")
        .with(ReportBlock::Text(text))
        .with(ReportBlock::Figures(vec![figure.alt(label)]))
        .with(ReportBlock::Table(table(found)))
}

fn table(found: &Calibration) -> Table {
    let mut table = Table::new([
        "confidence",
        "images",
        "mean confidence",
        "accuracy",
        "difference",
    ])
    .folded("The bins in numbers");
    for bin in found.bins.iter().filter(|bin| bin.images > 0) {
        let range = format!("{} to {}", percent(bin.from), percent(bin.to));
        let [confidence, accuracy] = [bin.confidence, bin.accuracy].map(percent);
        let gap = format!("{:+.1} %", 100.0 * bin.gap());
        table.row([range, thousands(bin.images), confidence, accuracy, gap]);
    }
    table
}
