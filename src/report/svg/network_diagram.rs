//! A network as a column of layers.

use super::canvas::{Anchor, SvgCanvas, shortened};

/// A layer of a diagram.
#[derive(Clone, Debug, Default)]
pub(in crate::report) struct DiagramLayer {
    /// The first line, such as `conv2d (Conv2D)`.
    pub title: String,
    /// The lines below it, such as the shape and the settings.
    pub details: Vec<String>,
    /// The shape of the output.
    pub shape: Vec<usize>,
    /// Whether it has weights.
    pub has_weights: bool,
    /// Whether it takes the output of the layer above it.
    pub takes_the_last: bool,
}

const WIDTH: f64 = 400.0;
const ROW: f64 = 58.0;
/// The middle of the column of drawings.
const MIDDLE: f64 = 60.0;
const TEXT: f64 = 130.0;
/// The largest height and width of a drawing of maps, without its depth.
const SIDE: f64 = 38.0;
/// The depth of 1024 channels.
const DEPTH: f64 = 44.0;

/// The layers from top to bottom, each drawn in the proportions of its output: a stack of maps, or a
/// row of units. The first is the input.
pub(in crate::report) fn network_diagram(layers: &[DiagramLayer], label: &str) -> String {
    let height = ROW * layers.len() as f64 + 8.0;
    let mut canvas = SvgCanvas::new([WIDTH, height], label);
    let maps = layers.iter().filter(|layer| layer.shape.len() == 3);
    let largest = maps.map(|layer| layer.shape[0].max(layer.shape[1])).max();
    let largest = largest.unwrap_or(1).max(1) as f64;
    for (i, layer) in layers.iter().enumerate() {
        let middle = 4.0 + ROW * (i as f64 + 0.5);
        if layers.get(i + 1).is_some_and(|next| next.takes_the_last) {
            canvas.line("rule", [MIDDLE, middle], [MIDDLE, middle + ROW]);
        }
        draw_output(&mut canvas, layer, middle, largest);
        let width = 1.05 * (WIDTH - TEXT);
        let first = middle + 4.0 - 7.5 * layer.details.len() as f64;
        canvas.text(
            "strong",
            [TEXT, first],
            Anchor::Start,
            &shortened(&layer.title, width),
        );
        for (line, details) in layer.details.iter().enumerate() {
            let place = [TEXT, first + 15.0 * (line as f64 + 1.0)];
            canvas.text("label", place, Anchor::Start, &shortened(details, width));
        }
    }
    canvas.finish()
}

fn draw_output(canvas: &mut SvgCanvas, layer: &DiagramLayer, middle: f64, largest: f64) {
    let class = if layer.has_weights {
        "solid weighted"
    } else {
        "solid"
    };
    match layer.shape[..] {
        [h, w, c] => {
            let size = |n: usize| (SIDE * (n as f64 / largest).sqrt()).clamp(4.0, SIDE);
            let depth = (DEPTH * (c.max(1) as f64).log2() / 10.0).clamp(2.0, 2.0 * DEPTH);
            cuboid(canvas, class, [MIDDLE, middle], [size(w), size(h), depth]);
        }
        _ => {
            let units: usize = layer.shape.iter().product();
            let width = (12.0 * (units.max(2) as f64).log2()).clamp(12.0, 112.0);
            let corner = [MIDDLE - width / 2.0, middle - 4.0];
            canvas.rect(class, corner, [width, 8.0], (None, ""));
        }
    }
}

/// A box around a centre, seen from its upper right; the depth runs to the right.
fn cuboid(canvas: &mut SvgCanvas, class: &str, [x, y]: [f64; 2], [w, h, depth]: [f64; 3]) {
    let slope = [0.72 * depth, 0.22 * depth];
    let left = x - (w + slope[0]) / 2.0;
    let top = y - (h - slope[1]) / 2.0;
    let [right, bottom] = [left + w, top + h];
    let back = |[x, y]: [f64; 2]| [x + slope[0], y - slope[1]];
    let [a, b, c, d] = [[left, top], [right, top], [right, bottom], [left, bottom]];
    canvas.polygon(&format!("{class} above"), &[a, back(a), back(b), b]);
    canvas.polygon(&format!("{class} beside"), &[b, back(b), back(c), c]);
    canvas.polygon(class, &[a, b, c, d]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_boxes_and_units_are_rows() {
        let layer = |shape: &[usize], title: &str| DiagramLayer {
            title: title.into(),
            shape: shape.into(),
            takes_the_last: title != "input",
            ..DiagramLayer::default()
        };
        let layers = [
            layer(&[28, 28, 1], "input"),
            layer(&[26, 26, 32], "conv2d"),
            layer(&[10], "dense"),
            layer(&[], "odd"),
        ];
        let svg = network_diagram(&layers, "The network");
        assert_eq!(svg.matches("<polygon").count(), 6);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            !svg.contains("NaN") && svg.contains(">conv2d</text>"),
            "{svg}"
        );
        assert!(!network_diagram(&[], "nothing").contains("NaN"));
    }
}
