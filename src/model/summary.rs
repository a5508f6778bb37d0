//! The table that `model.summary()` prints in Keras.

use std::fmt::Write as _;

use super::Sequential;
use crate::error::Result;

const WIDTHS: [usize; 3] = [33, 26, 16];

impl Sequential {
    /// The model as a table of layer, output shape and parameters, totals below.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub fn summary(&self) -> Result<String> {
        let mut out = format!("Model: \"{}\"\n", self.name);
        out += &rule('┏', '━', '┳', '┓');
        out += &row(
            '┃',
            ["Layer (type)", "Output Shape", "Param #"].map(String::from),
        );
        out += &rule('┡', '━', '╇', '┩');
        let layers = self.resolve()?;
        for (i, layer) in layers.iter().enumerate() {
            if i > 0 {
                out += &rule('├', '─', '┼', '┤');
            }
            let shape: Vec<String> = layer.output.iter().map(ToString::to_string).collect();
            out += &row(
                '│',
                [
                    format!("{} ({})", layer.name, layer.layer.spec().kind()),
                    format!("(None, {})", shape.join(", ")),
                    thousands(layer.parameter_count()),
                ],
            );
        }
        out += &rule('└', '─', '┴', '┘');
        let total = self.parameter_count()?;
        let trainable = layers.iter().map(|l| l.trainable_count()).sum();
        for (what, count) in [
            ("Total", total),
            ("Trainable", trainable),
            ("Non-trainable", total - trainable),
        ] {
            let kib = count as f64 * 4.0 / 1024.0;
            let _ = writeln!(out, " {what} params: {} ({kib:.2} KB)", thousands(count));
        }
        let _ = writeln!(out, " Input: {}", crate::shape::dims(&self.input_shape));
        Ok(out)
    }
}

fn rule(left: char, line: char, joint: char, right: char) -> String {
    let parts = WIDTHS.map(|w| line.to_string().repeat(w));
    format!("{left}{}{right}\n", parts.join(&joint.to_string()))
}

fn row(bar: char, [name, shape, params]: [String; 3]) -> String {
    let [a, b, c] = WIDTHS.map(|w| w - 2);
    format!("{bar} {name:<a$} {bar} {shape:<b$} {bar} {params:>c$} {bar}\n")
}

/// `93322` -> `93,322`.
pub(crate) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(super::thousands(93_322), "93,322");
        assert_eq!(super::thousands(100), "100");
        assert_eq!(super::thousands(1_000_000), "1,000,000");
    }
}
