//! Elements of a chart.

use std::fmt::Write as _;

use crate::report::html::escaped;
use crate::report::text::trimmed;

/// An `<svg>` element in the making.
pub(super) struct SvgCanvas {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

/// Wider charts take the whole width of a page.
const LARGE: f64 = 600.0;

/// Where a text starts, relative to its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl SvgCanvas {
    /// An empty chart; `label` describes it for those who cannot see it.
    pub fn new([width, height]: [f64; 2], label: &str) -> Self {
        Self {
            width,
            height,
            label: label.into(),
            body: String::new(),
        }
    }

    pub fn line(&mut self, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(number);
        self.push(&format!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>"
        ));
    }

    pub fn polyline(&mut self, class: &str, points: &[[f64; 2]]) {
        let points: Vec<String> = points.iter().map(|[x, y]| pair(*x, *y)).collect();
        let points = points.join(" ");
        self.push(&format!(
            "<polyline class=\"{class}\" points=\"{points}\"/>"
        ));
    }

    pub fn polygon(&mut self, class: &str, points: &[[f64; 2]]) {
        let points: Vec<String> = points.iter().map(|[x, y]| pair(*x, *y)).collect();
        let points = points.join(" ");
        self.push(&format!("<polygon class=\"{class}\" points=\"{points}\"/>"));
    }

    /// A rectangle. `opacity` is that of its colour; `title` appears when a pointer rests on it.
    pub fn rect(
        &mut self,
        class: &str,
        [x, y]: [f64; 2],
        [width, height]: [f64; 2],
        (opacity, title): (Option<f64>, &str),
    ) {
        let [x, y, width, height] = [x, y, width, height].map(number);
        let opacity = opacity.map_or(String::new(), |o| {
            format!(" fill-opacity=\"{}\"", trimmed(o, 3))
        });
        let start = format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{opacity}"
        );
        self.titled(&start, "rect", title);
    }

    pub fn circle(&mut self, class: &str, [x, y]: [f64; 2], radius: f64, title: &str) {
        let [x, y, r] = [x, y, radius].map(number);
        let start = format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"");
        self.titled(&start, "circle", title);
    }

    pub fn text(&mut self, class: &str, [x, y]: [f64; 2], anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let ([x, y], text) = ([x, y].map(number), escaped(text));
        self.push(&format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{text}</text>"
        ));
    }

    /// A text that runs upwards, centred.
    pub fn upright(&mut self, class: &str, place: [f64; 2], text: &str) {
        self.turned(class, place, " text-anchor=\"middle\"", text);
    }

    /// A text that runs upwards from here.
    pub fn upwards(&mut self, class: &str, place: [f64; 2], text: &str) {
        self.turned(class, place, "", text);
    }

    fn turned(&mut self, class: &str, [x, y]: [f64; 2], anchor: &str, text: &str) {
        let ([x, y], text) = ([x, y].map(number), escaped(text));
        self.push(&format!(
            "<text class=\"{class}\"{anchor} transform=\"translate({x} {y}) rotate(-90)\">{text}</text>"
        ));
    }

    fn titled(&mut self, start: &str, name: &str, title: &str) {
        if title.is_empty() {
            self.push(&format!("{start}/>"));
        } else {
            self.push(&format!(
                "{start}><title>{}</title></{name}>",
                escaped(title)
            ));
        }
    }

    fn push(&mut self, element: &str) {
        self.body.push_str(element);
        self.body.push('\n');
    }

    pub fn finish(self) -> String {
        let Self { label, body, .. } = &self;
        let (width, height) = (number(self.width), number(self.height));
        let class = if self.width > LARGE {
            "chart large"
        } else {
            "chart"
        };
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" class=\"{class}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>",
            escaped(label)
        );
        out
    }
}

fn number(value: f64) -> String {
    trimmed(value, 2)
}

fn pair(x: f64, y: f64) -> String {
    format!("{},{}", number(x), number(y))
}

/// About how wide a text is at the charts' larger font size, that of narrow screens.
pub(super) fn text_width(text: &str) -> f64 {
    use unicode_width::UnicodeWidthStr as _;
    7.6 * text.width() as f64
}

/// A text shortened to about this width.
pub(super) fn shortened(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        out.push(c);
        if text_width(&out) > width - 9.0 {
            out.pop();
            break;
        }
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_closed_and_texts_escaped() {
        let mut canvas = SvgCanvas::new([10.0, 5.0], "a \"b\"");
        canvas.rect("s0", [1.0, 1.005], [2.0, 3.0], (Some(0.25), "x < y"));
        canvas.text("axis", [0.0, -0.001], Anchor::End, "&");
        let svg = canvas.finish();
        assert!(
            svg.contains("viewBox=\"0 0 10 5\"") && svg.contains("aria-label=\"a &quot;b&quot;\"")
        );
        assert!(svg.contains("fill-opacity=\"0.25\"><title>x &lt; y</title></rect>"));
        assert!(
            svg.contains("y=\"0\" text-anchor=\"end\">&amp;</text>"),
            "{svg}"
        );
    }

    #[test]
    fn long_texts_are_shortened() {
        assert_eq!(shortened("short", 100.0), "short");
        assert_eq!(shortened("a long name", 55.0), "a long…");
        assert_eq!(shortened("猫猫猫猫", 40.0), "猫猫…");
    }
}
