//! Curves.

use super::axis::AxisScale;
use super::canvas::{Anchor, SvgCanvas, text_width};
use crate::report::text::significant;

/// Curves, such as the loss over the epochs.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct LineChart {
    /// What it shows.
    pub label: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<LineSeries>,
    /// A place of interest.
    pub marker: Option<Marker>,
    /// Whether the vertical axis is logarithmic.
    pub logarithmic: bool,
    /// Whether the horizontal axis is logarithmic. Otherwise its labels are whole numbers.
    pub x_logarithmic: bool,
    /// Values that the vertical axis must not pass.
    pub bounds: [Option<f64>; 2],
    /// Whether a single curve is named, too.
    pub always_named: bool,
}

/// A curve.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct LineSeries {
    pub name: String,
    /// The number of its colour and line style.
    pub style: usize,
    /// Whether the points are dots without a line.
    pub dots: bool,
    /// Values that are not finite leave a gap.
    pub points: Vec<[f64; 2]>,
}

/// A vertical line with a label.
#[derive(Clone, Debug)]
pub(in crate::report) struct Marker {
    pub x: f64,
    pub label: String,
}

const WIDTH: f64 = 440.0;
const PLOT_HEIGHT: f64 = 200.0;
/// Where the legend begins, and the plot unless its labels are wide.
const LEFT: f64 = 52.0;
const RIGHT: f64 = WIDTH - 12.0;
/// About the number of labels of the vertical axis.
const TICKS: usize = 5;
const LEGEND_ROW: f64 = 18.0;
/// Colours and line styles of `chart.css`.
const STYLES: usize = 8;
/// Curves of up to this many points show each point.
const FEW: usize = 30;
/// Longer curves are thinned out to about this many points.
const MANY: usize = 2000;

impl LineChart {
    pub fn draw(&self) -> String {
        let legend = self.legend();
        let rows = legend.last().map_or(0.0, |(_, [_, row])| row + 1.0);
        let marker = if self.marker.is_some() {
            LEGEND_ROW
        } else {
            0.0
        };
        let top = 10.0 + LEGEND_ROW * rows + marker;
        let bottom = top + PLOT_HEIGHT;
        let mut canvas = SvgCanvas::new([WIDTH, bottom + 38.0], &self.label);
        self.draw_legend(&mut canvas, &legend);
        let y = self.y([bottom, top]);
        let left = left_of(&y);
        let x = self.x(left);
        self.draw_axes(&mut canvas, [&x, &y], [left, top, bottom]);
        self.draw_marker(&mut canvas, &x, [top, bottom]);
        for series in &self.series {
            draw_curve(&mut canvas, series, [&x, &y]);
        }
        canvas.finish()
    }

    /// The names of the curves, each with its left end and its row; none for a single curve.
    fn legend(&self) -> Vec<(&str, [f64; 2])> {
        let (mut left, mut row) = (LEFT, 0.0);
        let several = self.series.len() > 1 || self.always_named;
        let names = self.series.iter().filter(|_| several).map(|series| {
            let width = 26.0 + text_width(&series.name) + 14.0;
            if left > LEFT && left + width > WIDTH {
                (left, row) = (LEFT, row + 1.0);
            }
            let place = [left, row];
            left += width;
            (series.name.as_str(), place)
        });
        names.collect()
    }

    fn draw_legend(&self, canvas: &mut SvgCanvas, legend: &[(&str, [f64; 2])]) {
        for ((name, [left, row]), series) in legend.iter().zip(&self.series) {
            let y = 14.0 + LEGEND_ROW * row;
            let (style, middle) = (series.style % STYLES, y - 4.0);
            if series.dots {
                canvas.circle(&format!("f{style}"), [left + 10.0, middle], 1.5, "");
            } else {
                let class = format!("curve s{style}");
                canvas.line(&class, [*left, middle], [left + 20.0, middle]);
            }
            canvas.text("label", [left + 26.0, y], Anchor::Start, name);
        }
    }

    fn values(&self, axis: usize) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        points
            .map(move |point| point[axis])
            .filter(|value| value.is_finite())
    }

    fn limits(&self, axis: usize) -> [f64; 2] {
        let low = self.values(axis).fold(f64::INFINITY, f64::min);
        [low, self.values(axis).fold(f64::NEG_INFINITY, f64::max)]
    }

    fn x(&self, left: f64) -> AxisScale {
        let (limits, places) = (self.limits(0), [left + 8.0, RIGHT - 8.0]);
        match self.x_logarithmic {
            true => AxisScale::logarithmic(limits, places),
            false => AxisScale::linear(limits, places),
        }
    }

    fn y(&self, places: [f64; 2]) -> AxisScale {
        let [low, high] = self.limits(1);
        if self.logarithmic && low > 0.0 && high > low {
            return AxisScale::logarithmic([low / 1.3, high * 1.3], places);
        }
        let margin = match high - low {
            // The axis of a constant value shows its size.
            0.0 if low == 0.0 => 1.0,
            0.0 => low.abs(),
            range => 0.06 * range,
        };
        let low = self.bounds[0].map_or(low - margin, |bound| bound.max(low - margin));
        let high = self.bounds[1].map_or(high + margin, |bound| bound.min(high + margin));
        AxisScale::linear([low, high], places)
    }

    fn draw_axes(
        &self,
        canvas: &mut SvgCanvas,
        [x, y]: [&AxisScale; 2],
        [left, top, bottom]: [f64; 3],
    ) {
        for (value, label) in y.ticks(TICKS) {
            let at = y.at(value);
            canvas.line("grid", [left, at], [RIGHT, at]);
            canvas.text("tick", [left - 6.0, at + 4.0], Anchor::End, &label);
        }
        let ticks = match self.x_logarithmic {
            true => x.ticks(8),
            false => x.whole_ticks(8),
        };
        for (value, label) in ticks {
            canvas.text("tick", [x.at(value), bottom + 16.0], Anchor::Middle, &label);
        }
        canvas.line("rule", [left, bottom], [RIGHT, bottom]);
        let middle = f64::midpoint(left, RIGHT);
        canvas.text(
            "label",
            [middle, bottom + 33.0],
            Anchor::Middle,
            &self.x_label,
        );
        canvas.upright("label", [12.0, f64::midpoint(top, bottom)], &self.y_label);
    }

    fn draw_marker(&self, canvas: &mut SvgCanvas, x: &AxisScale, [top, bottom]: [f64; 2]) {
        let Some(marker) = &self.marker else {
            return;
        };
        let at = x.at(marker.x);
        canvas.line("marker", [at, top - 2.0], [at, bottom]);
        let (anchor, gap) = match at > f64::midpoint(LEFT, RIGHT) {
            true => (Anchor::End, 3.0),
            false => (Anchor::Start, -3.0),
        };
        canvas.text("note", [at + gap, top - 5.0], anchor, &marker.label);
    }
}

/// Where the plot begins: to the right of the labels of its vertical axis.
fn left_of(y: &AxisScale) -> f64 {
    let ticks = y.ticks(TICKS);
    let widest = ticks
        .iter()
        .map(|(_, label)| text_width(label))
        .fold(0.0, f64::max);
    LEFT.max(widest + 30.0)
}

fn draw_curve(canvas: &mut SvgCanvas, series: &LineSeries, [x, y]: [&AxisScale; 2]) {
    let style = series.style % STYLES;
    let every = series.points.len().div_ceil(MANY).max(1);
    let last = series.points.len().saturating_sub(1);
    let kept = series.points.iter().enumerate();
    let kept: Vec<&[f64; 2]> = kept
        .filter(|(i, _)| i % every == 0 || *i == last)
        .map(|(_, point)| point)
        .collect();
    for run in kept.split(|point| !(point[0].is_finite() && point[1].is_finite())) {
        let places: Vec<[f64; 2]> = run.iter().map(|p| [x.at(p[0]), y.at(p[1])]).collect();
        if series.dots {
            for place in places {
                canvas.circle(&format!("f{style}"), place, 1.5, "");
            }
            continue;
        }
        if places.len() > 1 {
            canvas.polyline(&format!("curve s{style}"), &places);
        }
        if kept.len() <= FEW {
            for (place, point) in places.iter().zip(run) {
                let title = format!("{}, {}: {}", series.name, point[0], significant(point[1]));
                canvas.circle(&format!("dot f{style}"), *place, 3.0, &title);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(values: &[f64]) -> LineChart {
        let points = values.iter().enumerate().map(|(i, v)| [i as f64 + 1.0, *v]);
        LineChart {
            series: vec![LineSeries {
                name: "loss".into(),
                points: points.collect(),
                ..LineSeries::default()
            }],
            ..LineChart::default()
        }
    }

    #[test]
    fn the_axis_of_a_constant_shows_its_size_and_passes_no_bound() {
        let svg = |value: f64, bounds: [Option<f64>; 2]| {
            let chart = LineChart {
                bounds,
                ..chart(&[value; 3])
            };
            chart.draw()
        };
        let rate = svg(0.001, [Some(0.0), None]);
        assert!(rate.contains(">0.001</text>") && rate.contains(">0.002</text>"));
        assert!(
            !rate.contains(">-") && !rate.contains(">0.4</text>"),
            "{rate}"
        );
        let perfect = svg(1.0, [Some(0.0), Some(1.0)]);
        assert!(perfect.contains(">1</text>") && !perfect.contains(">1.2</text>"));
        let nothing = svg(0.0, [Some(0.0), None]);
        assert!(
            nothing.contains(">0</text>") && !nothing.contains(">-"),
            "{nothing}"
        );
    }

    #[test]
    fn a_gap_splits_a_curve() {
        let svg = chart(&[1.0, 0.5, f64::NAN, 0.4, 0.3]).draw();
        assert_eq!(svg.matches("<polyline").count(), 2);
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn one_value_or_none_is_drawn() {
        for values in [&[][..], &[0.5], &[0.0, 0.0], &[f64::INFINITY]] {
            let svg = chart(values).draw();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn several_curves_have_a_legend_and_long_ones_fewer_points() {
        let mut two = chart(&vec![1.0; 10_000]);
        assert!(!two.draw().contains(">loss<"));
        two.always_named = true;
        assert_eq!(two.draw().matches(">loss<").count(), 1);
        two.always_named = false;
        two.series.push(two.series[0].clone());
        let svg = two.draw();
        assert_eq!(svg.matches(">loss<").count(), 2);
        assert!(svg.len() < 80_000, "{}", svg.len());
    }
}
