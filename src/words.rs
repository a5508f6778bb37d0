//! Text for messages: numbers in sentences, and messages on one line.
//!
//! This module is internal: it may change in any version.

use std::fmt::{Debug, LowerExp};

/// A number in its shortest form: `0.001`, `2`, `1e-8`, `1e30`.
///
/// ```
/// use cnn_gpu::words::short;
/// assert_eq!([0.001, 2.0, 1e-8, 1e30].map(short), ["0.001", "2", "1e-8", "1e30"]);
/// assert_eq!(short(0.1_f32), "0.1");
/// ```
pub fn short(number: impl Debug + LowerExp) -> String {
    let text = format!("{number:?}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A number with its noun, in the singular or plural: `1 epoch`, `2 epochs`, `60,000 images`.
///
/// ```
/// use cnn_gpu::words::counted;
/// assert_eq!(counted(1_usize, "epoch"), "1 epoch");
/// assert_eq!(counted(0_u64, "image"), "0 images");
/// assert_eq!(counted(60_000_usize, "class"), "60,000 classes");
/// ```
pub fn counted(n: impl TryInto<u64>, one: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    let number = thousands(n);
    match n {
        1 => format!("{number} {one}"),
        _ => format!("{number} {}", plural(one)),
    }
}

/// A number with thousands separators: `93322` -> `93,322`.
pub(crate) fn thousands(n: u64) -> String {
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

/// `epoch` -> `epochs`, `class` -> `classes`. An adjective may precede the noun: `whole epoch`.
fn plural(one: &str) -> String {
    let hisses = ["s", "x", "ch", "sh"];
    // `epoch` ends in the sound of a k.
    if hisses.iter().any(|end| one.ends_with(end)) && !one.ends_with("epoch") {
        format!("{one}es")
    } else {
        format!("{one}s")
    }
}

/// The maximum length, in characters, of a message that may quote a file.
const MAX_CHARACTERS: usize = 1000;

/// A message on one line of limited length, even if it quotes a file.
pub(crate) fn one_line(message: &str) -> String {
    let mut line = String::new();
    for character in message.trim_end().chars().take(MAX_CHARACTERS) {
        match character {
            '\n' => line.push_str("; "),
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    if message.chars().nth(MAX_CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let numbers = [100, 93_322, 1_000_000].map(thousands);
        assert_eq!(numbers, ["100", "93,322", "1,000,000"]);
    }

    #[test]
    fn only_one_is_singular() {
        let names = ["epoch", "step", "class", "batch", "whole epoch"];
        let one = names.map(|name| counted(1_usize, name));
        assert_eq!(
            one,
            ["1 epoch", "1 step", "1 class", "1 batch", "1 whole epoch"]
        );
        let two = names.map(|name| counted(2_usize, name));
        assert_eq!(
            two,
            [
                "2 epochs",
                "2 steps",
                "2 classes",
                "2 batches",
                "2 whole epochs"
            ]
        );
    }

    #[test]
    fn numbers_keep_all_significant_digits() {
        assert_eq!(short(1.175_494_4e-38_f32), "1.1754944e-38");
        assert_eq!(short(123_456.5), "123456.5");
        assert_eq!(short(f32::NAN), "NaN");
        let number: f64 = short(0.1 + 0.2).parse().unwrap();
        assert_eq!(number, 0.1 + 0.2);
    }

    #[test]
    fn a_message_that_quotes_a_file_is_one_line() {
        assert_eq!(
            one_line("expected\n`a\r\u{1b}é`\n"),
            "expected; `a\\r\\u{1b}é`"
        );
        let long = one_line(&"é".repeat(2 * MAX_CHARACTERS));
        assert_eq!(long.chars().count(), MAX_CHARACTERS + 1);
    }
}
