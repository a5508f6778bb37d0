//! The reliability diagram.

use super::axis::AxisScale;
use super::canvas::{Anchor, SvgCanvas};
use crate::inspect::Calibration;
use crate::report::text::percent;

const WIDTH: f64 = 440.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 12.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 262.0;
/// The histogram below.
const BASE: f64 = 356.0;
const TALLEST: f64 = 62.0;

/// Accuracy by confidence, and below it the share of images by confidence.
pub(in crate::report) fn reliability(calibration: &Calibration, label: &str) -> String {
    let mut canvas = SvgCanvas::new([WIDTH, BASE + 40.0], label);
    let x = AxisScale::linear([0.0, 1.0], [LEFT, RIGHT]);
    let y = AxisScale::linear([0.0, 1.0], [BOTTOM, TOP]);
    for (value, label) in y.ticks(5) {
        canvas.line("grid", [LEFT, y.at(value)], [RIGHT, y.at(value)]);
        canvas.text("tick", [LEFT - 6.0, y.at(value) + 4.0], Anchor::End, &label);
        canvas.text("tick", [x.at(value), BASE + 16.0], Anchor::Middle, &label);
    }
    draw_bins(&mut canvas, calibration, [&x, &y]);
    canvas.line("diagonal", [x.at(0.0), y.at(0.0)], [x.at(1.0), y.at(1.0)]);
    canvas.line("rule", [LEFT, BOTTOM], [RIGHT, BOTTOM]);
    canvas.line("rule", [LEFT, BASE], [RIGHT, BASE]);
    let middle = f64::midpoint(LEFT, RIGHT);
    canvas.text("label", [middle, BASE + 33.0], Anchor::Middle, "confidence");
    canvas.upright("label", [12.0, f64::midpoint(TOP, BOTTOM)], "accuracy");
    canvas.upright("label", [12.0, BASE - TALLEST / 2.0], "images");
    canvas.finish()
}

fn draw_bins(canvas: &mut SvgCanvas, calibration: &Calibration, [x, y]: [&AxisScale; 2]) {
    for bin in calibration.bins.iter().filter(|bin| bin.images > 0) {
        let share = bin.images as f64 / calibration.images.max(1) as f64;
        let [left, right] = [x.at(bin.from) + 1.0, x.at(bin.to) - 1.0];
        let title = format!(
            "confidence {} to {}: {} of {} images, mean confidence {}, accuracy {}",
            percent(bin.from),
            percent(bin.to),
            bin.images,
            calibration.images,
            percent(bin.confidence),
            percent(bin.accuracy)
        );
        let width = right - left;
        let [exact, ideal] = [y.at(bin.accuracy), y.at(bin.confidence)];
        // Too sure, or not sure enough.
        let class = if bin.gap() < 0.0 { "over" } else { "under" };
        let (low, high) = (exact.max(ideal), exact.min(ideal));
        canvas.rect("bar", [left, low], [width, BOTTOM - low], (None, &title));
        canvas.rect(class, [left, high], [width, low - high], (None, &title));
        let height = (TALLEST * share).max(1.0);
        canvas.rect(
            "bar quiet",
            [left, BASE - height],
            [width, height],
            (None, &title),
        );
        if share >= 0.005 {
            let place = [f64::midpoint(left, right), BASE - height - 4.0];
            let text = format!("{:.0} %", 100.0 * share);
            canvas.text("share", place, Anchor::Middle, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_without_images_are_not_drawn() {
        let found = Calibration::new([(0.8, true), (0.8, false)], 15);
        let svg = reliability(&found, "Calibration");
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(
            svg.contains("mean confidence 80.0\u{a0}%, accuracy 50.0\u{a0}%"),
            "{svg}"
        );
    }
}
