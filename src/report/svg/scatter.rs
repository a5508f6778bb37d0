//! Points in a plane, coloured by class.

use super::axis::AxisScale;
use super::canvas::{Anchor, SvgCanvas, shortened};

/// Points of several classes.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct Scatter<'a> {
    /// What it shows.
    pub label: String,
    pub x_label: String,
    pub y_label: String,
    pub points: Vec<ScatterPoint>,
    /// The names of the classes.
    pub names: &'a [String],
}

/// A point.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct ScatterPoint {
    pub place: [f64; 2],
    pub class: usize,
    /// Whether it stands out.
    pub strong: bool,
    /// What appears when a pointer rests on it.
    pub title: String,
}

const SIDE: f64 = 440.0;
const MARGIN: f64 = 14.0;
/// The colours of `chart.css`.
const COLOURS: usize = 10;

impl Scatter<'_> {
    pub fn draw(&self) -> String {
        let bottom = if self.x_label.is_empty() {
            SIDE
        } else {
            SIDE + 18.0
        };
        let mut canvas = SvgCanvas::new([SIDE, bottom], &self.label);
        let [x, y] = self.scales();
        canvas.rect("plot", [1.0, 1.0], [SIDE - 2.0; 2], (None, ""));
        // Those that stand out lie on top.
        for strong in [false, true] {
            for point in self.points.iter().filter(|point| point.strong == strong) {
                let place = [x.at(point.place[0]), y.at(point.place[1])];
                let stress = if strong { " strong" } else { "" };
                let class = format!("point k{}{stress}", point.class % COLOURS);
                canvas.circle(&class, place, if strong { 4.0 } else { 2.6 }, &point.title);
            }
        }
        for (class, name) in self.names.iter().enumerate() {
            if let Some([a, b]) = self.centre(class) {
                let name = shortened(name, 110.0);
                canvas.text("name", [x.at(a), y.at(b) + 5.0], Anchor::Middle, &name);
            }
        }
        canvas.text(
            "label",
            [SIDE / 2.0, SIDE + 13.0],
            Anchor::Middle,
            &self.x_label,
        );
        canvas.upright("label", [MARGIN, SIDE / 2.0], &self.y_label);
        canvas.finish()
    }

    /// The same scale in both directions.
    fn scales(&self) -> [AxisScale; 2] {
        let limits = [0, 1].map(|axis| {
            let values = || self.points.iter().map(|point| point.place[axis]);
            let (low, high) = (
                values().fold(f64::INFINITY, f64::min),
                values().fold(f64::NEG_INFINITY, f64::max),
            );
            if low <= high { [low, high] } else { [0.0, 1.0] }
        });
        let range = limits
            .iter()
            .map(|[low, high]| high - low)
            .fold(0.0, f64::max);
        let places = [MARGIN + 10.0, SIDE - MARGIN];
        let around = |[low, high]: [f64; 2]| {
            let middle = f64::midpoint(low, high);
            [middle - range / 2.0, middle + range / 2.0]
        };
        let [x, y] = limits.map(around);
        [
            AxisScale::linear(x, places),
            AxisScale::linear(y, [places[1], places[0] - 10.0]),
        ]
    }

    /// The median of the points of a class, which lies among most of them.
    fn centre(&self, class: usize) -> Option<[f64; 2]> {
        let own = || self.points.iter().filter(|point| point.class == class);
        own().next()?;
        let median = |axis: usize| {
            let mut values: Vec<f64> = own().map(|point| point.place[axis]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Some([median(0), median(1)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_name_among_its_points() {
        let names = ["a", "b", "none"].map(String::from);
        let point = |class: usize, x: f64| ScatterPoint {
            place: [x, 0.0],
            class,
            strong: x == 9.0,
            title: String::new(),
        };
        let scatter = Scatter {
            points: vec![point(0, 0.0), point(0, 1.0), point(1, 10.0), point(1, 9.0)],
            names: &names,
            ..Scatter::default()
        };
        let svg = scatter.draw();
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains(">a</text>") && !svg.contains(">none</text>"));
        assert_eq!(svg.matches("strong").count(), 1);
        for points in [vec![], vec![point(0, 3.0)]] {
            let svg = Scatter {
                points,
                names: &names,
                ..Scatter::default()
            }
            .draw();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
