//! Figures of a line or a bar, as text.

use std::io::{self, Write as _};

use crate::words::thousands;

/// Between two figures, as in Keras.
pub(super) const SEPARATOR: &str = " - ";

/// A failure is ignored, as there is nowhere to report it.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

pub(super) fn metrics(images_per_second: f64, accuracy: f64, loss: f64) -> [String; 3] {
    let speed = thousands(images_per_second.round() as u64);
    [
        format!("{speed} images/s"),
        format!("accuracy: {accuracy:.4}"),
        format!("loss: {loss:.4}"),
    ]
}

/// `0.42s`, `7.3s`, `42s`, `3m07s`.
pub fn short_time(seconds: f64) -> String {
    match seconds {
        s if s < 0.995 => format!("{s:.2}s"),
        s if s < 99.95 => format!("{s:.1}s"),
        s => {
            let whole = s.round() as u64;
            format!("{}m{:02}s", whole / 60, whole % 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        assert_eq!(short_time(0.5), "0.50s");
        assert_eq!(short_time(16.52), "16.5s");
        assert_eq!(short_time(187.0), "3m07s");
    }
}
