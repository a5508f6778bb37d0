//! Values as Python writes them.

use crate::shape::Pair;

/// `3` for both axes, or `(3, 5)`.
pub(super) fn pair(Pair([h, w]): Pair) -> String {
    match h == w {
        true => h.to_string(),
        false => format!("({h}, {w})"),
    }
}

/// A text in quotes, of printable characters.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A text without its quotes, for a line of a text in quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            _ if is_plain(c) => escaped.push(c),
            _ => escaped.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    escaped
}

/// Whether a character looks like itself in a source, unlike controls and marks of direction.
pub(super) fn is_plain(c: char) -> bool {
    let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !invisible
}

/// A list over as many lines as it needs, for a name that is assigned to.
pub(super) fn list(name: &str, texts: &[String]) -> String {
    const WIDTH: usize = 99;
    let items: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    let line = format!("{name} = [{}]", items.join(", "));
    if line.chars().count() <= WIDTH {
        return line;
    }
    let mut lines = vec![String::from("   ")];
    for item in items {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if last > 3 && last + item.chars().count() + 2 > WIDTH {
            lines.push("   ".into());
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(&format!(" {item},"));
        }
    }
    format!("{name} = [\n{}\n]", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
        assert_eq!(quoted("a\nb\u{202e}é"), "\"a\\U0000000ab\\U0000202eé\"");
    }

    #[test]
    fn long_lists_are_wrapped() {
        let names: Vec<String> = (0..40).map(|i| format!("class {i}")).collect();
        let text = list("CLASSES", &names);
        assert!(
            text.lines().all(|line| line.chars().count() <= 99),
            "{text}"
        );
        assert!(
            text.lines().count() > 5 && text.ends_with("\"class 39\",\n]"),
            "{text}"
        );
        assert_eq!(list("A", &names[..2]), "A = [\"class 0\", \"class 1\"]");
    }
}
