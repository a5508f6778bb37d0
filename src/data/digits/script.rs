//! The skeletons as a script, so that a web page draws the built-in digits, too.

use super::skeletons::{Node, STYLES, Style};

/// The contents of `skeletons.js`: `SKELETONS`, the styles of each digit. A node is its two
/// coordinates, followed by 1 at a corner.
pub(crate) fn skeletons_script() -> String {
    let digits = STYLES.map(|styles| listed(styles, style));
    format!(
        "'use strict';\n\
         // How each digit is written, in several styles: strokes of nodes joined by smooth curves that break at corners.\n\n\
         /** @type {{Style[][]}} */\n\
         const SKELETONS = [\n{}];\n",
        digits.map(|digit| format!("{digit},\n")).concat()
    )
}

fn style(style: &Style) -> String {
    let strokes = listed(style.strokes, |stroke| listed(stroke, node));
    format!("{{weight:{},strokes:{strokes}}}", style.weight)
}

fn node(node: &Node) -> String {
    let corner = if node.corner { ",1" } else { "" };
    format!("[{},{}{corner}]", node.x, node.y)
}

/// The items in brackets.
fn listed<T>(items: &[T], text: impl Fn(&T) -> String) -> String {
    let texts: Vec<_> = items.iter().map(text).collect();
    format!("[{}]", texts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_written() {
        let script = skeletons_script();
        let nodes = STYLES.iter().copied().flatten();
        let nodes: usize = nodes
            .flat_map(|style| style.strokes)
            .map(|stroke| stroke.len())
            .sum();
        // Nodes hold numbers, lists hold further brackets or braces.
        let is_node = |text: &&str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        assert_eq!(script.split('[').filter(is_node).count(), nodes);
        assert!(script.contains("[\n[{weight:7,strokes:[[[0.55,0],[0.25,0.1],"));
        assert!(script.ends_with("[0.72,1]]]}],\n];\n"), "{script}");
    }
}
