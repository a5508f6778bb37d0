//! The order of names in which numbers count as numbers: `conv2` comes before `conv10`.

use std::cmp::Ordering;

/// A part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NamePart<'a> {
    /// Digits, without zeros at the start.
    Number(&'a str),
    /// Anything else.
    Text(&'a str),
}

/// Compares two names.
pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let ordered = (parts(a).zip(parts(b)))
        .map(|(a, b)| match (a, b) {
            (NamePart::Number(a), NamePart::Number(b)) => {
                a.len().cmp(&b.len()).then_with(|| a.cmp(b))
            }
            (NamePart::Text(a), NamePart::Text(b)) => a.cmp(b),
            (NamePart::Number(_), NamePart::Text(_)) => Ordering::Less,
            (NamePart::Text(_), NamePart::Number(_)) => Ordering::Greater,
        })
        .find(|order| order.is_ne());
    // If one starts with the other, the shorter comes first; `01` and `1` differ too.
    ordered.unwrap_or_else(|| a.len().cmp(&b.len()).then_with(|| a.cmp(b)))
}

/// Whether names differ, and only in numbers.
pub(super) fn differ_in_numbers(a: &str, b: &str) -> bool {
    let alike = |(a, b)| match (a, b) {
        (NamePart::Number(_), NamePart::Number(_)) => true,
        (NamePart::Text(a), NamePart::Text(b)) => a == b,
        (NamePart::Number(_), NamePart::Text(_)) | (NamePart::Text(_), NamePart::Number(_)) => {
            false
        }
    };
    let same_length = parts(a).count() == parts(b).count();
    same_length && parts(a).zip(parts(b)).all(alike) && compare(a, b).is_ne()
}

fn parts(name: &str) -> impl Iterator<Item = NamePart<'_>> {
    let is_digit = |c: char| c.is_ascii_digit();
    let mut rest = name;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let other = |c: char| is_digit(c) != is_digit(first);
        let (part, after) = rest.split_at(rest.find(other).unwrap_or(rest.len()));
        rest = after;
        Some(match is_digit(first) {
            true => NamePart::Number(part.trim_start_matches('0')),
            false => NamePart::Text(part),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        let sorted = [
            "conv",
            "conv1",
            "conv2",
            "conv10",
            "conv10.a",
            "convx",
            "fc",
            "layer2.0.conv1",
        ];
        for (a, b) in sorted.iter().zip(&sorted[1..]) {
            assert_eq!(compare(a, b), Ordering::Less, "{a} {b}");
        }
        assert_eq!(compare("a007", "a7"), Ordering::Greater);
    }

    #[test]
    fn names_that_differ_in_numbers_are_recognized() {
        assert!(differ_in_numbers("layer1.0.conv1", "layer1.1.conv1"));
        assert!(differ_in_numbers("conv9", "conv10"));
        assert!(!differ_in_numbers("conv1", "conv1"));
        assert!(!differ_in_numbers("conv", "conv1"));
        assert!(!differ_in_numbers("down1", "up2"));
    }
}
