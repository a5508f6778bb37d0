//! Numbers for readers.

use crate::model::Loss;

/// `97.3 %`; `100 %` only if nothing is missing, `0 %` only if there is nothing. Lines do not break
/// within.
pub(super) fn percent(share: f64) -> String {
    let share = 100.0 * share;
    match share {
        s if s.is_nan() => "–".into(),
        0.0 => "0\u{a0}%".into(),
        100.0 => "100\u{a0}%".into(),
        s if s > 0.0 && s < 0.1 => "<\u{a0}0.1\u{a0}%".into(),
        s if s > 99.9 && s < 100.0 => ">\u{a0}99.9\u{a0}%".into(),
        s => format!("{s:.1}\u{a0}%"),
    }
}

/// What a network predicts for a class: a share of a probability, four decimals of any other output, as `cnn-gpu
/// predict` prints it.
pub(super) fn prediction(value: f32, loss: Loss) -> String {
    match loss.gives_probabilities() {
        true => percent(value.into()),
        false => format!("{value:.4}"),
    }
}

/// An accuracy as Keras and the terminal show it: `0.9731`.
pub(super) fn accuracy(share: f64) -> String {
    format!("{share:.4}")
}

/// At most `digits` decimals, without zeros at the end: `0.25`, `3`.
pub(super) fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    match text {
        "-0" => "0".into(),
        text => text.to_owned(),
    }
}

/// Three significant digits: `0.0213`, `12.5`, `1.2e-7`.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    let size = value.abs().log10().floor() as i32;
    match size {
        -4..=5 => trimmed(value, usize::try_from(2 - size).unwrap_or(0)),
        _ => {
            let text = format!("{value:.2e}");
            match text.split_once('e') {
                Some((digits, power)) if digits.contains('.') => {
                    let digits = digits.trim_end_matches('0').trim_end_matches('.');
                    format!("{digits}e{power}")
                }
                _ => text,
            }
        }
    }
}

/// Seconds in the unit that suits them: `12 µs`, `3.4 ms`, `2.1 s`.
pub(super) fn duration(seconds: f64) -> String {
    let units = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")];
    let fitting = units.iter().find(|(unit, _)| seconds >= *unit);
    let (unit, name) = fitting.unwrap_or(&(1e-6, "µs"));
    format!("{} {name}", significant(seconds / unit))
}

/// With a capital letter at the start.
pub(super) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// `No times: they were not measured.`
pub(super) fn sentence(what: &str, why: &str) -> String {
    format!("{what}: {}.", why.trim_end_matches('.'))
}

/// A file name of letters, digits and `-`, from any text.
pub(super) fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => slug.push(c.to_ascii_lowercase()),
            _ if slug.ends_with('-') || slug.is_empty() => {}
            _ => slug.push('-'),
        }
    }
    slug.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        let shares = [0.0, 0.0001, 0.123, 0.9999, 1.0, f64::NAN].map(percent);
        assert_eq!(
            shares,
            ["0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100 %", "–"]
                .map(|text| text.replace(' ', "\u{a0}"))
        );
    }

    #[test]
    fn numbers_are_short() {
        let found = [0.25, 3.0, -0.001, 12.0].map(|value| trimmed(value, 2));
        assert_eq!(found, ["0.25", "3", "0", "12"]);
        let found = [0.021_34, 12.46, 1.2e-7, 0.0, 1e9, 123_456.0].map(significant);
        assert_eq!(found, ["0.0213", "12.5", "1.2e-7", "0", "1e9", "123456"]);
        let found = [2.13, 0.0034, 12.3e-6, 4e-8].map(duration);
        assert_eq!(found, ["2.13 s", "3.4 ms", "12.3 µs", "0.04 µs"]);
    }

    #[test]
    fn names_of_files_are_plain() {
        assert_eq!(slug("conv2d_1"), "conv2d-1");
        assert_eq!(slug("../ä b//c/"), "b-c");
        assert_eq!(slug("猫"), "");
    }
}
