//! Reads TOML written by users, with errors that name the line.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use crate::error::FormatError;
use crate::words::one_line;

/// Reads the text of a TOML file. An error is one line and begins with the number of the line to
/// correct.
pub(crate) fn read_toml<T: DeserializeOwned>(text: &str) -> Result<T, FormatError> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = in_plain_words(&one_line(error.message()));
        let message = match culprit::<T>(text).or(error.span()) {
            Some(span) => format!("line {}: {message}", line_of(text, span)),
            None => message,
        };
        FormatError::from(message).caused_by(error)
    })
}

/// A message with TOML's names in place of Rust's types.
fn in_plain_words(message: &str) -> String {
    let Some((before, expected)) = message.rsplit_once("expected ") else {
        return message.into();
    };
    let plain = match expected {
        "usize" | "u64" | "u32" | "u16" | "u8" => "a non-negative integer",
        "i64" | "i32" => "an integer",
        "f64" | "f32" => "a number",
        "a sequence" => "an array",
        "a map" => "a table",
        _ if expected.starts_with("struct ") => "a table",
        _ => return message.into(),
    };
    format!("{before}expected {plain}")
}

/// The line of element `index` of the array of tables `array`, or of the key in it that `message`
/// names.
pub(crate) fn line_of_element(
    text: &str,
    array: &str,
    index: usize,
    message: &str,
) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let DeValue::Array(elements) = root.get_ref().get(array)?.get_ref() else {
        return None;
    };
    let element = elements.get(index)?;
    let words: Vec<&str> = message
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .collect();
    let named = match element.get_ref() {
        DeValue::Table(table) => table.keys().find(|key| words.contains(&&**key.get_ref())),
        _ => None,
    };
    let span = named.map_or(element.span(), Spanned::span);
    Some(line_of(text, span))
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text[..span.start.min(text.len())].matches('\n').count() + 1
}

/// The maximum length of a text in which the faulty key is located, because the search parses the
/// text many times.
const MAX_BYTES: usize = 30_000;

/// Locates the cause of an error: the innermost key without which the error does not occur.
///
/// The parser's own span is too coarse. To read a layer by its `type`, serde buffers the whole
/// table, and an error inside has the span of the first layer.
fn culprit<T: DeserializeOwned>(text: &str) -> Option<Range<usize>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut root = DeTable::parse(text).ok()?;
    let error = error_of::<T>(&root)?;
    let is_same = |changed: &Spanned<DeTable<'_>>| error_of::<T>(changed).as_ref() == Some(&error);
    let mut path = Vec::new();
    let mut span = None;
    while let Some((step, at)) = next_step(&root, &path, &is_same) {
        // A missing key has no line, so that of its table is reported.
        if error.starts_with("missing field") && matches!(&step, PathStep::Key(key) if is_tag(key))
        {
            break;
        }
        // Later elements may have the same error and would hide this one.
        if let PathStep::Index(index) = step {
            shorten(&mut root, &path, index + 1);
        }
        path.push(step);
        span = Some(at);
    }
    span
}

fn error_of<T: DeserializeOwned>(root: &Spanned<DeTable<'_>>) -> Option<String> {
    let read = T::deserialize(Deserializer::from(root.clone()));
    read.err().map(|error| error.message().to_owned())
}

/// A step from a table or an array to one of its elements.
enum PathStep {
    Key(String),
    Index(usize),
}

fn is_tag(key: &str) -> bool {
    ["type", "name"].contains(&key)
}

/// The step from the value at `path` towards the cause of the error, and the span to report for it.
fn next_step(
    root: &Spanned<DeTable<'_>>,
    path: &[PathStep],
    is_same: &dyn Fn(&Spanned<DeTable<'_>>) -> bool,
) -> Option<(PathStep, Range<usize>)> {
    let table = match value_at(root.get_ref(), path) {
        None => root.get_ref(),
        Some(DeValue::Table(table)) => table,
        Some(DeValue::Array(array)) => {
            let lens: Vec<usize> = (0..=array.len()).collect();
            let shortest = lens.partition_point(|len| {
                let mut shorter = root.clone();
                shorten(&mut shorter, path, *len);
                !is_same(&shorter)
            });
            // If the error occurs without any element, the array itself is wrong.
            let index = shortest.checked_sub(1)?;
            return Some((PathStep::Index(index), array.get(index)?.span()));
        }
        Some(_) => return None,
    };
    let mut matter = table.keys().filter(|key| {
        let mut without = root.clone();
        match value_at_mut(without.get_mut(), path) {
            Some(DeValue::Table(table)) => table.remove(&**key.get_ref()),
            _ => without.get_mut().remove(&**key.get_ref()),
        };
        !is_same(&without)
    });
    let first = matter.next()?;
    // Without its tag (the type of a layer, the name of a schedule) a table is not read at all, so
    // the tag always matters.
    let key = if is_tag(first.get_ref()) {
        matter.find(|key| !is_tag(key.get_ref())).unwrap_or(first)
    } else {
        first
    };
    Some((PathStep::Key(key.get_ref().to_string()), key.span()))
}

/// Keeps the first `len` elements of the array at `path`.
fn shorten(root: &mut Spanned<DeTable<'_>>, path: &[PathStep], len: usize) {
    if let Some(DeValue::Array(array)) = value_at_mut(root.get_mut(), path) {
        *array = array.iter().take(len).cloned().collect();
    }
}

/// The value at `path`; `None` is the root.
fn value_at<'a, 'i>(root: &'a DeTable<'i>, path: &[PathStep]) -> Option<&'a DeValue<'i>> {
    let (PathStep::Key(first), rest) = path.split_first()? else {
        return None;
    };
    let first = root.get(first.as_str())?.get_ref();
    rest.iter()
        .try_fold(first, |value, step| match (value, step) {
            (DeValue::Table(table), PathStep::Key(key)) => Some(table.get(key.as_str())?.get_ref()),
            (DeValue::Array(array), PathStep::Index(index)) => Some(array.get(*index)?.get_ref()),
            _ => None,
        })
}

fn value_at_mut<'a, 'i>(
    root: &'a mut DeTable<'i>,
    path: &[PathStep],
) -> Option<&'a mut DeValue<'i>> {
    let (PathStep::Key(first), rest) = path.split_first()? else {
        return None;
    };
    let first = root.get_mut(first.as_str())?.get_mut();
    rest.iter()
        .try_fold(first, |value, step| match (value, step) {
            (DeValue::Table(table), PathStep::Key(key)) => {
                Some(table.get_mut(key.as_str())?.get_mut())
            }
            (DeValue::Array(array), PathStep::Index(index)) => {
                Some(array.get_mut(*index)?.get_mut())
            }
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sequential;

    fn line(text: &str) -> usize {
        let message = read_toml::<Sequential>(text).unwrap_err().to_string();
        let line = message
            .strip_prefix("line ")
            .and_then(|m| m.split_once(':'));
        let line = line.unwrap_or_else(|| panic!("no line: {message}"));
        line.0.parse().unwrap()
    }

    #[test]
    fn messages_name_the_types_of_toml() {
        let message = |text: &str| read_toml::<Sequential>(text).unwrap_err().to_string();
        let loss = message(&format!(
            "loss = \"mse\"\ninput_shape = [28, 28, 1]\n{LAYERS}"
        ));
        assert!(loss.ends_with("string \"mse\", expected a table"), "{loss}");
        let units = message("input_shape = [-1, 28, 1]\n");
        assert!(
            units.ends_with("expected a non-negative integer"),
            "{units}"
        );
    }

    const LAYERS: &str =
        "[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\nunits = 10\n";

    #[test]
    fn an_error_names_the_line_of_its_key() {
        let shape = "input_shape = [28, 28, 1]\n";
        let dense = |keys: &str| format!("[[layers]]\ntype = \"Dense\"\n{keys}\n");
        for (text, expected) in [
            // In a separate table, before the keys that are read first.
            (format!("{shape}[loss]\ntype = \"mse\"\n{LAYERS}"), 3),
            (format!("{shape}{LAYERS}unit = 3\n"), 7),
            // The same error twice: the first one is reported.
            (
                format!("{shape}{}", dense("units = 1\nuse_bias = \"no\"").repeat(2)),
                5,
            ),
            (format!("{shape}{LAYERS}{}", dense("unit = 1").repeat(2)), 9),
            // Values on several lines.
            (
                format!(
                    "{shape}layers = [\n{{ type = \"Flatten\" }},\n{{ type = \"Dense\", unit = 1 }},\n]"
                ),
                4,
            ),
            (
                format!(
                    "{shape}{}",
                    dense("units = 1\nkernel_initializer = [\n1,\n2]")
                ),
                5,
            ),
            (format!("input_shape = [\n28,\n\"28\",\n1]\n{LAYERS}"), 3),
            // A missing key has no line, so that of its table is reported.
            (format!("{shape}{LAYERS}[[layers]]\nunits = 3\n"), 7),
            (format!("{shape}[layers]\ntype = \"Dense\"\n"), 2),
            // Not TOML at all.
            (format!("{shape}[[layers]\n"), 2),
        ] {
            assert_eq!(line(&text), expected, "{text}");
        }
    }
}
