//! Reads TOML that a user wrote.

use serde::de::DeserializeOwned;

use crate::words::one_line;

/// Parses TOML. An error is one line that starts with the number of the line to fix.
pub(crate) fn read_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = one_line(error.message());
        match error.span() {
            Some(span) => format!("line {}: {message}", line_to_fix::<T>(text, &error, span)),
            None => message,
        }
    })
}

/// The most lines of a file in which to find the line to fix by trial.
const MOST_LINES: usize = 500;

/// The number of the line to fix. For an error inside a layer, whose type selects its fields, the
/// parser reports the header of the first layer. The line to fix is then the last one, or the last
/// table, whose removal changes the error.
fn line_to_fix<T: DeserializeOwned>(
    text: &str,
    error: &toml::de::Error,
    span: std::ops::Range<usize>,
) -> usize {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let first = text[..span.start.min(text.len())].matches('\n').count() + 1;
    let is_head = |line: usize| lines[line - 1].trim_start().starts_with('[');
    if first > lines.len() || !is_head(first) || lines.len() > MOST_LINES {
        return first;
    }
    let matters = |from: usize, to: usize| {
        let others = [&lines[..from - 1], &["\n"], &lines[to..]]
            .concat()
            .concat();
        // Without one line of a multi-line value, the rest is not TOML.
        others.parse::<toml::Table>().is_ok()
            && (toml::from_str::<T>(&others).err())
                .is_none_or(|other| other.message() != error.message())
    };
    let head_after = |line: usize| (line + 1..=lines.len()).find(|l| is_head(*l));
    let end_of = |line: usize| head_after(line).map_or(lines.len(), |head| head - 1);
    let mut backwards = (first..=lines.len()).rev();
    // A missing field has no line; report the header of its table.
    if error.message().starts_with("missing field") {
        let head = backwards.find(|&line| is_head(line) && matters(line, end_of(line)));
        return head.unwrap_or(first);
    }
    let last = backwards.find(|&line| !is_head(line) && matters(line, line));
    let Some(last) = last else {
        return first;
    };
    // Removing a layer's type always changes the error, so prefer another line of the same table.
    let is_type = |line: usize| lines[line - 1].trim_start().starts_with("type");
    let same_table = (first..last).rev().take_while(|line| !is_head(*line));
    let mut others = same_table.filter(|line| matters(*line, *line));
    if is_type(last) {
        others.next().unwrap_or(last)
    } else {
        last
    }
}
