//! Line plots as text, drawn with the dots of braille characters.

use std::ops::RangeInclusive;

/// Dots of one character: two columns of four.
const DOTS: [usize; 2] = [2, 4];
/// The first braille character, without dots.
const BLANK: u32 = 0x2800;
/// The bit of each dot of a character, by row and column.
const BITS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
/// Marks single points among lines.
const MARK: char = '●';

/// How an axis is divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scale {
    /// Equal differences are equally far apart.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; values must be positive.
    Logarithmic,
}

/// A line plot of this many characters, plus its axes.
///
/// ```
/// use cnn_gpu::inspect::LinePlot;
/// let plot = LinePlot::new(4, 2).title("loss").x(0.0..=10.0);
/// let lines = plot.draw(&[(0.0, 1.0), (10.0, 0.0)], &[]);
/// assert_eq!(lines, ["   loss", "1 ┤⠑⢄", "0 ┤  ⠑⢄", "  └────", "   0 10"]);
/// ```
#[derive(Clone, Debug)]
pub struct LinePlot {
    size: [usize; 2],
    title: String,
    x: Option<RangeInclusive<f64>>,
    y: Option<RangeInclusive<f64>>,
    y_from: Option<f64>,
    x_scale: Scale,
}

impl LinePlot {
    /// A plot of `columns` x `rows` characters, at least 1 each.
    pub fn new(columns: usize, rows: usize) -> Self {
        Self {
            size: [columns.max(1), rows.max(1)],
            title: String::new(),
            x: None,
            y: None,
            y_from: None,
            x_scale: Scale::Linear,
        }
    }

    /// Sets the line above the plot.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Sets the ends of the x axis. Default: those of the points.
    #[must_use]
    pub fn x(mut self, x: RangeInclusive<f64>) -> Self {
        self.x = Some(x);
        self
    }

    /// Sets the ends of the y axis; values outside are drawn at the edge. Default: those of the
    /// points.
    #[must_use]
    pub fn y(mut self, y: RangeInclusive<f64>) -> Self {
        self.y = Some(y);
        self
    }

    /// Sets the lower end of the y axis, unless a value is lower. Default: the lowest value.
    #[must_use]
    pub fn y_from(mut self, low: f64) -> Self {
        self.y_from = Some(low);
        self
    }

    /// Sets the division of the x axis. Default: linear.
    #[must_use]
    pub fn x_scale(mut self, scale: Scale) -> Self {
        self.x_scale = scale;
        self
    }

    /// The plot as lines of text: a line through `points`, from left to right, and a mark at each of
    /// `marks`. Points in the same column of dots are averaged; points that are not finite are left
    /// out.
    pub fn draw(&self, points: &[(f64, f64)], marks: &[(f64, f64)]) -> Vec<String> {
        let is_finite = |(x, y): &(f64, f64)| self.scaled(*x).is_finite() && y.is_finite();
        let [points, marks] = [points, marks]
            .map(|all| -> Vec<(f64, f64)> { all.iter().copied().filter(is_finite).collect() });
        let all = || points.iter().chain(&marks);
        let x = ends(&self.x, all().map(|point| point.0));
        let y = ends(&self.y, all().map(|point| point.1).chain(self.y_from));
        let place = |(x_at, y_at)| self.place((x_at, y_at), (&x, &y));
        let mut cells = vec![vec![BLANK; self.size[0]]; self.size[1]];
        for [dot_x, dot_y] in line(&averaged(points.iter().map(|p| place(*p)))) {
            let row = cells.get_mut(dot_y / DOTS[1]);
            if let Some(cell) = row.and_then(|row| row.get_mut(dot_x / DOTS[0])) {
                *cell |= BITS[dot_y % DOTS[1]][dot_x % DOTS[0]];
            }
        }
        for mark in &marks {
            let [dot_x, dot_y] = place(*mark);
            let row = cells.get_mut(dot_y / DOTS[1]);
            if let Some(cell) = row.and_then(|row| row.get_mut(dot_x / DOTS[0])) {
                *cell = u32::from(MARK);
            }
        }
        self.framed(&cells, (&x, &y))
    }

    /// A value on the x axis, so that equal distances are equally far apart.
    fn scaled(&self, x: f64) -> f64 {
        match self.x_scale {
            Scale::Linear => x,
            Scale::Logarithmic => x.ln(),
        }
    }

    /// The column and row of a point's dot.
    fn place(
        &self,
        (x, y): (f64, f64),
        (xs, ys): (&RangeInclusive<f64>, &RangeInclusive<f64>),
    ) -> [usize; 2] {
        let [left, right] = [*xs.start(), *xs.end()].map(|end| self.scaled(end));
        let at = |value: f64, from: f64, to: f64, dots: usize| {
            let share = ((value - from) / (to - from)).clamp(0.0, 1.0);
            // A range of a single value is drawn in the middle.
            let share = if share.is_nan() { 0.5 } else { share };
            (share * (dots - 1) as f64).round() as usize
        };
        [
            at(self.scaled(x), left, right, self.size[0] * DOTS[0]),
            at(y, *ys.end(), *ys.start(), self.size[1] * DOTS[1]),
        ]
    }

    /// Adds the title and the axes.
    fn framed(
        &self,
        cells: &[Vec<u32>],
        (x, y): (&RangeInclusive<f64>, &RangeInclusive<f64>),
    ) -> Vec<String> {
        let labels = [*y.end(), *y.start()].map(label);
        let width = labels.iter().map(String::len).max().unwrap_or(0);
        let mut lines = Vec::with_capacity(cells.len() + 3);
        if !self.title.is_empty() {
            let title: String = self.title.chars().take(self.size[0]).collect();
            lines.push(format!("{:width$}  {title}", ""));
        }
        for (i, row) in cells.iter().enumerate() {
            let (text, axis) = match i {
                0 => (labels[0].as_str(), '┤'),
                _ if i + 1 == cells.len() => (labels[1].as_str(), '┤'),
                _ => ("", '│'),
            };
            let row = row.iter().filter_map(|&cell| char::from_u32(cell));
            let row: String = row
                .map(|c| if u32::from(c) == BLANK { ' ' } else { c })
                .collect();
            lines.push(format!("{text:>width$} {axis}{row}"));
        }
        lines.push(format!("{:width$} └{}", "", "─".repeat(self.size[0])));
        let [left, right] = [*x.start(), *x.end()].map(label);
        let gap = (self.size[0])
            .saturating_sub(left.len())
            .max(right.len() + 1);
        lines.push(format!("{:width$}  {left}{right:>gap$}", ""));
        (lines.iter())
            .map(|line| line.trim_end().to_owned())
            .collect()
    }
}

/// The ends of an axis: the given ones, or those of the values.
fn ends(
    given: &Option<RangeInclusive<f64>>,
    values: impl Iterator<Item = f64> + Clone,
) -> RangeInclusive<f64> {
    let found = || {
        let low = values.clone().fold(f64::INFINITY, f64::min);
        let high = values.clone().fold(f64::NEG_INFINITY, f64::max);
        if low <= high { low..=high } else { 0.0..=1.0 }
    };
    given.clone().unwrap_or_else(found)
}

/// One dot per column: the mean of those in it.
fn averaged(dots: impl Iterator<Item = [usize; 2]>) -> Vec<[usize; 2]> {
    let mut columns: Vec<(usize, usize, usize)> = Vec::new();
    for [x, y] in dots {
        match columns.last_mut() {
            Some((last, sum, count)) if *last == x => {
                *sum += y;
                *count += 1;
            }
            _ => columns.push((x, y, 1)),
        }
    }
    let mean = |(x, sum, count): (usize, usize, usize)| [x, (sum + count / 2) / count];
    columns.into_iter().map(mean).collect()
}

/// The dots of a line through the given ones.
fn line(dots: &[[usize; 2]]) -> Vec<[usize; 2]> {
    let mut out = Vec::new();
    for pair in dots.windows(2) {
        let [[x0, y0], [x1, y1]] = [pair[0], pair[1]];
        let steps = x0.abs_diff(x1).max(y0.abs_diff(y1)).max(1);
        let between = |a: usize, b: usize, i: usize| {
            let share = i as f64 / steps as f64;
            (a as f64 + (b as f64 - a as f64) * share).round() as usize
        };
        out.extend((0..steps).map(|i| [between(x0, x1, i), between(y0, y1, i)]));
    }
    out.extend(dots.last());
    out
}

/// A number of an axis: about three digits.
fn label(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => return "0".into(),
        _ if !(1e-3..1e5).contains(&size) => return format!("{value:.0e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_rises_from_the_lower_left_to_the_upper_right() {
        let plot = LinePlot::new(3, 2);
        let lines = plot.draw(&[(0.0, 0.0), (5.0, 7.0)], &[]);
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("7 ┤"), "{lines:?}");
        assert!(lines[1].starts_with("0 ┤"), "{lines:?}");
        let columns: Vec<Vec<char>> = lines.iter().map(|l| l.chars().collect()).collect();
        assert_eq!(columns[0].last(), Some(&'⠎'), "{lines:?}");
        assert_eq!(columns[1][3], '⡰', "{lines:?}");
        assert_eq!(lines[3], "   0 5");
    }

    #[test]
    fn equal_ratios_are_equally_far_apart_on_a_logarithmic_axis() {
        let plot = LinePlot::new(41, 1).x_scale(Scale::Logarithmic);
        let marks = [(1e-4, 0.0), (1e-2, 0.0), (1.0, 0.0), (0.0, 0.0)];
        let line = plot.draw(&[], &marks)[0].clone();
        let at: Vec<usize> = (line.chars().enumerate())
            .filter_map(|(i, c)| (c == MARK).then_some(i))
            .collect();
        assert_eq!((at.len(), at[2] - at[1]), (3, at[1] - at[0]), "{line}");
    }

    #[test]
    fn points_that_are_not_finite_and_no_points_are_no_problem() {
        let plot = LinePlot::new(4, 3).title("t").y(0.0..=2.0);
        let none = plot.draw(&[], &[]);
        assert_eq!(
            none,
            plot.draw(&[(0.0, f64::NAN), (f64::INFINITY, 1.0)], &[])
        );
        // A single value lies in the middle, one outside at the edge.
        let one = plot.draw(&[(3.0, 1.0)], &[]);
        assert!(one[2].contains(['⠂', '⠄', '⠐', '⠠']), "{one:?}");
        let outside = plot.draw(&[(3.0, 9.0), (4.0, 9.0)], &[]);
        assert!(outside[1].contains('⠉'), "{outside:?}");
    }

    #[test]
    fn labels_have_about_three_digits() {
        let labels = [0.0, 2.304, 0.0421, 1234.5, 1e-7, 10.0, -0.5].map(label);
        assert_eq!(labels, ["0", "2.3", "0.042", "1234", "1e-7", "10", "-0.5"]);
    }
}
