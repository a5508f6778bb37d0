//! A matrix of counts.

use super::canvas::{Anchor, SvgCanvas, shortened, text_width};
use crate::report::text::percent;

/// How often rows occur as columns.
#[derive(Clone, Debug)]
pub(in crate::report) struct HeatMap<'a> {
    /// What it shows.
    pub label: String,
    pub x_label: String,
    pub y_label: String,
    /// The names of rows and columns.
    pub names: &'a [String],
    pub counts: &'a [Vec<u64>],
}

/// The width of the cells together, at most.
const CELLS: f64 = 400.0;
/// The widest column of names.
const NAMES: f64 = 84.0;
const TOP: f64 = 36.0;

impl HeatMap<'_> {
    pub fn draw(&self) -> String {
        let n = self.counts.len().max(1) as f64;
        let side = (CELLS / n).min(72.0);
        let left = self.left();
        let [width, height] = [left + side * n + 6.0, TOP + side * n + 6.0];
        let mut canvas = SvgCanvas::new([width, height], &self.label);
        let middle = side * n / 2.0;
        canvas.text(
            "label",
            [left + middle, 12.0],
            Anchor::Middle,
            &self.x_label,
        );
        canvas.upright("label", [12.0, TOP + middle], &self.y_label);
        for (i, name) in self.names.iter().enumerate() {
            let centre = side * (i as f64 + 0.5);
            let short = shortened(name, side - 2.0);
            canvas.text("tick", [left + centre, TOP - 7.0], Anchor::Middle, &short);
            let long = shortened(name, NAMES);
            canvas.text("tick", [left - 6.0, TOP + centre + 4.0], Anchor::End, &long);
        }
        for (row, counts) in self.counts.iter().enumerate() {
            self.draw_row(&mut canvas, side, row, counts);
        }
        canvas.finish()
    }

    /// Where the cells begin.
    fn left(&self) -> f64 {
        let widths = self.names.iter().map(|name| text_width(name));
        widths.fold(0.0, f64::max).min(NAMES) + 30.0
    }

    fn draw_row(&self, canvas: &mut SvgCanvas, side: f64, row: usize, counts: &[u64]) {
        let sum = counts.iter().sum::<u64>().max(1) as f64;
        let name = |i: usize| self.names.get(i).map_or("", String::as_str);
        for (column, &count) in counts.iter().enumerate() {
            let share = count as f64 / sum;
            let corner = [self.left() + side * column as f64, TOP + side * row as f64];
            let title = format!(
                "{} as {}: {count} ({})",
                name(row),
                name(column),
                percent(share)
            );
            // Few mistakes are to be seen, too.
            let opacity = if count == 0 {
                0.0
            } else {
                0.08 + 0.92 * share.sqrt()
            };
            let class = if row == column {
                "cell right"
            } else {
                "cell wrong"
            };
            canvas.rect(class, corner, [side - 1.0; 2], (Some(opacity), &title));
            if side >= 22.0 && count > 0 {
                self.write(canvas, corner, side, (count, share, opacity));
            }
        }
    }

    fn write(
        &self,
        canvas: &mut SvgCanvas,
        [x, y]: [f64; 2],
        side: f64,
        (count, share, opacity): (u64, f64, f64),
    ) {
        let (centre, middle) = (x + side / 2.0, y + side / 2.0);
        let tone = if opacity > 0.5 { "inside" } else { "outside" };
        let is_wide = side >= 38.0;
        let shift = if is_wide { -1.0 } else { 4.0 };
        let class = format!("count {tone}");
        canvas.text(
            &class,
            [centre, middle + shift],
            Anchor::Middle,
            &count.to_string(),
        );
        if is_wide {
            let class = format!("share {tone}");
            canvas.text(
                &class,
                [centre, middle + 12.0],
                Anchor::Middle,
                &percent(share),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cell_has_its_count_and_share() {
        let names = ["cat", "dog"].map(String::from);
        let counts = vec![vec![3, 1], vec![0, 0]];
        let map = HeatMap {
            label: "Confusion".into(),
            x_label: "predicted".into(),
            y_label: "label".into(),
            names: &names,
            counts: &counts,
        };
        let svg = map.draw();
        assert!(
            svg.contains("<title>cat as dog: 1 (25.0 %)</title>"),
            "{svg}"
        );
        assert!(
            svg.contains(">75.0 %</text>") && svg.contains("dog as dog: 0 (0 %)"),
            "{svg}"
        );
        assert_eq!(svg.matches("class=\"count").count(), 2);
    }
}
