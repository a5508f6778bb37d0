//! The curve of a learning-rate range test.

use crate::report::svg::{LineChart, LineSeries, Marker};
use crate::report::text::significant;
use crate::report::{Drawing, Figure};
use crate::train::{RateCurve, RatePoint};

/// The loss of each step of a range test as a dot, the smoothed loss as a curve, and the suggested
/// rate, if there is one.
pub fn rate_curve(curve: &RateCurve) -> Figure {
    let (low, high) = curve.losses().into_inner();
    let series = |name: &str, style, dots, of: fn(&RatePoint) -> f64| LineSeries {
        name: name.into(),
        style,
        dots,
        // A diverging loss stays at the upper edge.
        points: (curve.points.iter())
            .map(|point| [point.learning_rate.into(), of(point).clamp(low, high)])
            .collect(),
    };
    let chart = LineChart {
        label: "Loss by learning rate".into(),
        x_label: "learning rate".into(),
        y_label: "loss".into(),
        series: vec![
            series("loss of a batch", 4, true, |point| point.loss),
            series("smoothed", 0, false, |point| point.smoothed),
        ],
        marker: curve.suggested().map(|rate| Marker {
            x: rate.into(),
            label: format!("suggested: {}", two_digits(rate)),
        }),
        x_logarithmic: true,
        ..LineChart::default()
    };
    let caption = "The loss while the learning rate grows from step to step.";
    Figure::new("rate-curve", Drawing::Svg(chart.draw()), caption)
}

/// A rate as the terminal shows it.
fn two_digits(rate: f32) -> String {
    let rounded = format!("{rate:.1e}").parse();
    significant(rounded.unwrap_or(rate.into()))
}
