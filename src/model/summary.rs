//! The table that `model.summary()` prints in Keras.

use std::fmt::Write as _;

use super::{ResolvedLayer, Sequential};
use crate::error::Result;
use crate::words::thousands;

/// Minimum column widths; the first column grows with the longest name. Only models with skip
/// connections have the last one.
const WIDTHS: [usize; 4] = [33, 26, 16, 22];

impl Sequential {
    /// The model as a table of layers, output shapes and parameter counts, followed by totals. If
    /// layers name their inputs, each row has those of its layer, too.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub fn summary(&self) -> Result<String> {
        let mut out = format!("Model: \"{}\"\n", self.name);
        let layers = self.resolve()?;
        let title = |l: &ResolvedLayer<'_>| format!("{} ({})", l.name, l.layer.spec().kind());
        let longest = layers.iter().map(|l| title(l).chars().count() + 2);
        let sources: Vec<String> = (layers.iter())
            .map(|layer| layer.source_names(&layers).join(", "))
            .collect();
        let mut numbered = layers.iter().enumerate();
        let is_chain = numbered.all(|(index, layer)| layer.follows(index));
        let mut widths = WIDTHS.to_vec();
        widths[0] = longest.fold(widths[0], usize::max);
        let of_sources = sources.iter().map(|names| names.chars().count() + 2);
        widths[3] = of_sources.fold(widths[3], usize::max);
        widths.truncate(if is_chain { 3 } else { 4 });
        let rule = |left, line, joint, right| rule(&widths, [left, line, joint, right]);
        let row = |bar, cells| row(&widths, bar, cells);
        out += &rule('┏', '━', '┳', '┓');
        let head = ["Layer (type)", "Output Shape", "Param #", "Connected to"];
        out += &row('┃', head.map(String::from));
        out += &rule('┡', '━', '╇', '┩');
        for (i, layer) in layers.iter().enumerate() {
            if i > 0 {
                out += &rule('├', '─', '┼', '┤');
            }
            let shape: Vec<String> = layer.output.iter().map(ToString::to_string).collect();
            out += &row(
                '│',
                [
                    title(layer),
                    format!("(None, {})", shape.join(", ")),
                    thousands(layer.parameter_count() as u64),
                    sources[i].clone(),
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
            let size = memory_size(4 * count);
            let _ = writeln!(out, " {what} params: {} ({size})", thousands(count as u64));
        }
        let _ = writeln!(out, " Input: {}", crate::shape::dims(&self.input_shape));
        Ok(out)
    }
}

fn rule(widths: &[usize], [left, line, joint, right]: [char; 4]) -> String {
    let parts: Vec<String> = (widths.iter())
        .map(|width| line.to_string().repeat(*width))
        .collect();
    format!("{left}{}{right}\n", parts.join(&joint.to_string()))
}

/// Numbers of parameters, the third column, end at its right.
fn row(widths: &[usize], bar: char, cells: [String; 4]) -> String {
    let padded = (widths.iter().zip(cells).enumerate()).map(|(column, (width, cell))| {
        let width = width - 2;
        match column {
            2 => format!("{bar} {cell:>width$} "),
            _ => format!("{bar} {cell:<width$} "),
        }
    });
    format!("{}{bar}\n", padded.collect::<String>())
}

/// `364.54 KB`, in Keras's units.
fn memory_size(bytes: usize) -> String {
    const UNITS: [&str; 4] = ["B", "KB", "MB", "GB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.2} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_are_those_of_keras() {
        let size = super::memory_size;
        assert_eq!(size(0), "0.00 B");
        assert_eq!(size(48), "48.00 B");
        assert_eq!(size(4 * 93_322), "364.54 KB");
        assert_eq!(size(4 * 108_200_160), "412.75 MB");
        assert_eq!(size(1 << 42), "4096.00 GB");
    }

    #[test]
    fn long_names_widen_their_column() {
        use crate::model::{BatchNormalization, Sequential};
        let model = Sequential::new([2, 2, 3]).add(BatchNormalization::new());
        let text = model.summary().unwrap();
        let table = text.lines().filter(|line| !line.starts_with([' ', 'M']));
        let widths: Vec<usize> = table.map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|&w| w == widths[0]), "{text}");
        assert!(text.contains(" Non-trainable params: 6 "), "{text}");
    }
}
