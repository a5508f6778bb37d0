//! The curve of a learning-rate range test as an SVG picture.

use cnn_gpu::train::RateCurve;

/// Width and height of the picture, and the margins left, right, above and below the curve.
const SIZE: [f64; 2] = [640.0, 400.0];
const MARGINS: [f64; 4] = [60.0, 20.0, 40.0, 50.0];

/// The axes' ends: powers of ten, and losses.
struct Axes {
    x: [f64; 2],
    y: [f64; 2],
}

impl Axes {
    fn of(curve: &RateCurve) -> Self {
        let powers = curve
            .points
            .iter()
            .map(|p| f64::from(p.learning_rate).log10());
        let (low, high) = curve.losses().into_inner();
        Self {
            x: ends(powers),
            y: [low, high],
        }
    }

    fn x(&self, rate: f32) -> f64 {
        let [left, right, ..] = MARGINS;
        let share = (f64::from(rate).log10() - self.x[0]) / (self.x[1] - self.x[0]);
        left + share * (SIZE[0] - left - right)
    }

    /// A loss beyond the axis lies at its end.
    fn y(&self, loss: f64) -> f64 {
        let [_, _, above, below] = MARGINS;
        let loss = loss.clamp(self.y[0], self.y[1]);
        let share = (self.y[1] - loss) / (self.y[1] - self.y[0]);
        above + share * (SIZE[1] - above - below)
    }
}

/// The smallest and the largest value, a little apart at least.
fn ends(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let low = values.clone().fold(f64::INFINITY, f64::min);
    let high = values.fold(f64::NEG_INFINITY, f64::max);
    match low < high {
        true => [low, high],
        false if low.is_finite() => [low - 0.5, low + 0.5],
        false => [0.0, 1.0],
    }
}

/// The losses as dots, the smoothed loss as a line, and the suggested rate.
pub fn svg(curve: &RateCurve) -> String {
    let axes = Axes::of(curve);
    let [width, height] = SIZE;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    out += &frame(&axes);
    for point in &curve.points {
        let (x, y) = (axes.x(point.learning_rate), axes.y(point.loss));
        out += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.5\" fill=\"#9ab\"/>\n");
    }
    let line: Vec<String> = (curve.points.iter())
        .map(|p| format!("{:.1},{:.1}", axes.x(p.learning_rate), axes.y(p.smoothed)))
        .collect();
    out += &format!(
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1565c0\" stroke-width=\"2\"/>\n",
        line.join(" ")
    );
    if let Some(best) = curve.suggested() {
        let (x, top, bottom) = (axes.x(best), MARGINS[2], height - MARGINS[3]);
        let words = format!("suggested: {}", rate(best));
        out += &format!(
            "<line x1=\"{x:.1}\" y1=\"{top}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#c62828\" \
             stroke-dasharray=\"4 3\"/>\n<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"#c62828\">{words}</text>\n",
            top - 6.0
        );
    }
    out + "</svg>\n"
}

/// The frame, the powers of ten and a few losses.
fn frame(axes: &Axes) -> String {
    let [left, right, above, below] = MARGINS;
    let [width, height] = SIZE;
    let bottom = height - below;
    let mut out = format!(
        "<rect x=\"{left}\" y=\"{above}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#888\"/>\n\
         <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">learning rate</text>\n\
         <text x=\"14\" y=\"{}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {})\">loss</text>\n",
        width - left - right,
        bottom - above,
        f64::midpoint(left, width - right),
        height - 10.0,
        f64::midpoint(above, bottom),
        f64::midpoint(above, bottom)
    );
    for power in axes.x[0].ceil() as i32..=axes.x[1].floor() as i32 {
        let x = axes.x(10_f32.powi(power));
        out += &format!(
            "<line x1=\"{x:.1}\" y1=\"{above}\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"#eee\"/>\n\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">1e{power}</text>\n",
            bottom + 16.0
        );
    }
    for i in 0..5 {
        let loss = axes.y[0] + (axes.y[1] - axes.y[0]) * f64::from(i) / 4.0;
        let y = axes.y(loss) + 4.0;
        let x = left - 6.0;
        out += &format!("<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{loss:.2}</text>\n");
    }
    out
}

/// A rate with two digits: `3.3e-5`, `0.0012`.
pub fn rate(value: f32) -> String {
    let rounded = format!("{value:.1e}");
    match rounded.parse::<f32>() {
        Ok(number) if (1e-4..1e4).contains(&number) => number.to_string(),
        _ => rounded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_two_digits() {
        let rates = [1e-7, 0.001_234, 0.1, 9.99, 3.3e-5].map(rate);
        assert_eq!(rates, ["1.0e-7", "0.0012", "0.1", "10", "3.3e-5"]);
    }
}
