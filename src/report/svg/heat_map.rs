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
/// The same if there are so many that they would be tiny.
const MANY_CELLS: f64 = 760.0;
/// Up to this many rows have the smaller width.
const FEW: usize = 30;
/// The widest column of names.
const NAMES: f64 = 84.0;
/// The smallest cell with a number.
const TEXT_SIDE: f64 = 22.0;
/// The opacity of the colour behind a number, at most, so that the number can be read.
const BEHIND_TEXT: f64 = 0.52;
/// Space for one name, across its direction.
const NAME_HEIGHT: f64 = 12.0;

impl HeatMap<'_> {
    pub fn draw(&self) -> String {
        let (side, left, top) = (self.side(), self.left(), self.top());
        let extent = side * self.counts.len().max(1) as f64;
        let mut canvas = SvgCanvas::new([left + extent + 6.0, top + extent + 6.0], &self.label);
        let middle = extent / 2.0;
        let x_label = [left + middle, 12.0];
        canvas.text("label", x_label, Anchor::Middle, &self.x_label);
        canvas.upright("label", [12.0, top + middle], &self.y_label);
        let every = (NAME_HEIGHT / side).ceil().max(1.0) as usize;
        for (i, name) in self.names.iter().enumerate().step_by(every) {
            let centre = side * (i as f64 + 0.5);
            let long = shortened(name, NAMES);
            canvas.text("tick", [left - 6.0, top + centre + 4.0], Anchor::End, &long);
            if self.is_upright() {
                canvas.upwards("tick", [left + centre + 4.0, top - 6.0], &long);
            } else {
                canvas.text("tick", [left + centre, top - 7.0], Anchor::Middle, name);
            }
        }
        canvas.rect("plot", [left, top], [extent; 2], (None, ""));
        for (row, counts) in self.counts.iter().enumerate() {
            self.draw_row(&mut canvas, row, counts);
        }
        canvas.finish()
    }

    /// The width and height of a cell.
    fn side(&self) -> f64 {
        let n = self.counts.len().max(1);
        let extent = if n > FEW { MANY_CELLS } else { CELLS };
        (extent / n as f64).min(72.0)
    }

    /// The widest name, shortened.
    fn longest(&self) -> f64 {
        let widths = self.names.iter().map(|name| text_width(name));
        widths.fold(0.0, f64::max).min(NAMES)
    }

    /// Whether the names of the columns run upwards, as they are wider than the columns.
    fn is_upright(&self) -> bool {
        self.longest() > self.side() - 2.0
    }

    /// Where the cells begin.
    fn left(&self) -> f64 {
        self.longest() + 30.0
    }

    fn top(&self) -> f64 {
        match self.is_upright() {
            true => self.longest() + 26.0,
            false => 36.0,
        }
    }

    fn draw_row(&self, canvas: &mut SvgCanvas, row: usize, counts: &[u64]) {
        let side = self.side();
        let sum = counts.iter().sum::<u64>().max(1) as f64;
        let name = |i: usize| self.names.get(i).map_or("", String::as_str);
        for (column, &count) in counts.iter().enumerate() {
            // Of many cells, the empty ones are not worth their bytes.
            if count == 0 && counts.len() > FEW {
                continue;
            }
            let share = count as f64 / sum;
            let corner = [
                self.left() + side * column as f64,
                self.top() + side * row as f64,
            ];
            let title = format!(
                "{} as {}: {count} ({})",
                name(row),
                name(column),
                percent(share)
            );
            let has_text = side >= TEXT_SIDE;
            let most = if has_text { BEHIND_TEXT } else { 1.0 };
            // Few mistakes are to be seen, too.
            let opacity = match count {
                0 => 0.0,
                _ => most * (0.1 + 0.9 * share.sqrt()),
            };
            let class = if row == column {
                "cell right"
            } else {
                "cell wrong"
            };
            let inner = if side > 8.0 { side - 1.0 } else { side };
            canvas.rect(class, corner, [inner; 2], (Some(opacity), &title));
            if has_text && count > 0 {
                write(canvas, corner, side, (count, share));
            }
        }
    }
}

/// Writes a count and, where there is room, its share into a cell.
fn write(canvas: &mut SvgCanvas, [x, y]: [f64; 2], side: f64, (count, share): (u64, f64)) {
    let (centre, middle) = (x + side / 2.0, y + side / 2.0);
    let is_wide = side >= 38.0;
    let shift = if is_wide { -1.0 } else { 4.0 };
    let place = [centre, middle + shift];
    canvas.text("count", place, Anchor::Middle, &count.to_string());
    if is_wide {
        let place = [centre, middle + 12.0];
        canvas.text("share", place, Anchor::Middle, &percent(share));
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
            svg.contains("<title>cat as dog: 1 (25.0\u{a0}%)</title>"),
            "{svg}"
        );
        assert!(
            svg.contains(">75.0\u{a0}%</text>") && svg.contains("dog as dog: 0 (0\u{a0}%)"),
            "{svg}"
        );
        assert_eq!(svg.matches("class=\"count").count(), 2);
    }

    #[test]
    fn of_many_classes_the_occupied_cells_and_some_names_are_drawn() {
        let names: Vec<String> = (0..200).map(|i| format!("species {i}")).collect();
        let mut counts = vec![vec![0; 200]; 200];
        counts[7][7] = 9;
        counts[7][150] = 1;
        let map = HeatMap {
            label: "Confusion".into(),
            x_label: "predicted".into(),
            y_label: "label".into(),
            names: &names,
            counts: &counts,
        };
        let svg = map.draw();
        assert_eq!(svg.matches("class=\"cell").count(), 2);
        assert!(svg.contains("<title>species 7 as species 150: 1 (10.0\u{a0}%)</title>"));
        // Every fourth name, beside the rows and above the columns.
        assert_eq!(svg.matches(">species ").count() - 2, 2 * 50, "{svg}");
        let widest = svg.contains("rotate(-90)\">species 196</text>");
        assert!(widest && svg.contains("class=\"chart large\""), "{svg}");
    }

    /// The relative luminance of a colour like `#0072b2` over another one (WCAG 2).
    fn luminance(over: &str, under: &str, opacity: f64) -> f64 {
        let part = |colour: &str, i: usize| {
            let digits = &colour[1 + 2 * i..3 + 2 * i];
            f64::from(u8::from_str_radix(digits, 16).unwrap()) / 255.0
        };
        let linear = |i: usize| {
            let mixed = opacity * part(over, i) + (1.0 - opacity) * part(under, i);
            match mixed {
                ..=0.04045 => mixed / 12.92,
                _ => ((mixed + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * linear(0) + 0.7152 * linear(1) + 0.0722 * linear(2)
    }

    #[test]
    fn numbers_can_be_read_on_every_cell_in_light_and_dark() {
        let css = include_str!("../chart.css");
        let (light, dark) = css.split_once("@media").unwrap();
        for scheme in [light, dark] {
            let colour = |name: &str| {
                let at = scheme.find(&format!("--{name}: #")).unwrap();
                let rest = &scheme[at + name.len() + 4..];
                &rest[..7]
            };
            for (cell, opacity) in ["accent", "wrong"]
                .into_iter()
                .flat_map(|c| [(c, 0.0), (c, BEHIND_TEXT)])
            {
                let cell = luminance(colour(cell), colour("card"), opacity);
                let ink = luminance(colour("ink"), "#000000", 1.0);
                let contrast = (cell.max(ink) + 0.05) / (cell.min(ink) + 0.05);
                assert!(contrast >= 4.5, "{contrast}");
            }
        }
    }
}
