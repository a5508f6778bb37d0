//! Horizontal bars.

use super::canvas::{Anchor, SvgCanvas, shortened, text_width};

/// Bars below each other, each with a name and its value in words.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct BarChart {
    /// What it shows.
    pub label: String,
    pub bars: Vec<ChartBar>,
    /// The length of the longest bar; that of the largest value by default.
    pub most: Option<f64>,
}

/// A bar.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct ChartBar {
    pub name: String,
    pub value: f64,
    /// The value as it is written beside the bar.
    pub text: String,
    /// Whether the bar stands out.
    pub strong: bool,
}

const WIDTH: f64 = 440.0;
const ROW: f64 = 20.0;
/// The widest column of names, which leaves room for the bars.
const NAMES: f64 = 260.0;

impl BarChart {
    pub fn draw(&self) -> String {
        let height = ROW * self.bars.len() as f64 + 8.0;
        let mut canvas = SvgCanvas::new([WIDTH, height], &self.label);
        let widest = |of: fn(&ChartBar) -> &str| {
            let widths = self.bars.iter().map(|bar| text_width(of(bar)));
            widths.fold(0.0, f64::max)
        };
        let left = widest(|bar| &bar.name).min(NAMES) + 12.0;
        let right = WIDTH - widest(|bar| &bar.text) - 12.0;
        let values = self.bars.iter().map(|bar| bar.value);
        let most = self.most.unwrap_or_else(|| values.fold(0.0, f64::max));
        for (i, bar) in self.bars.iter().enumerate() {
            let top = 4.0 + ROW * i as f64;
            let share = (bar.value / most).clamp(0.0, 1.0);
            let share = if share.is_finite() { share } else { 0.0 };
            let length = share * (right - left).max(1.0);
            let class = if bar.strong { "bar strong" } else { "bar" };
            let title = format!("{}: {}", bar.name, bar.text);
            let name = shortened(&bar.name, NAMES);
            canvas.text("label", [left - 6.0, top + 14.0], Anchor::End, &name);
            let size = [length.max(0.5), ROW - 5.0];
            canvas.rect(class, [left, top + 2.0], size, (None, &title));
            let end = left + length + 6.0;
            canvas.text("tick", [end, top + 14.0], Anchor::Start, &bar.text);
        }
        canvas.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_proportional_and_odd_values_have_none() {
        let bar = |value: f64| ChartBar {
            name: "a".into(),
            value,
            text: "x".into(),
            strong: false,
        };
        let chart = BarChart {
            bars: vec![bar(1.0), bar(0.5), bar(f64::NAN), bar(-1.0)],
            ..BarChart::default()
        };
        let svg = chart.draw();
        let width = WIDTH - 2.0 * (7.6 + 12.0);
        for width in [width, width / 2.0, 0.5, 0.5] {
            let text = format!(
                " width=\"{}\" height=\"15\"",
                crate::report::text::trimmed(width, 2)
            );
            assert!(svg.contains(&text), "{text}: {svg}");
        }
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
