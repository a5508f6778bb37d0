//! Reading TOML that a user wrote.

use serde::de::DeserializeOwned;

use crate::words::one_line;

/// Reads a TOML file's text; an error is one line that begins with the number of the line to mend.
pub(crate) fn read_toml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let message = one_line(error.message());
        match error.span() {
            Some(span) => format!("line {}: {message}", line_to_mend::<T>(text, &error, span)),
            None => message,
        }
    })
}

/// The most lines of a file in which the one to mend is looked for by trial.
const MOST_LINES: usize = 500;

/// The number of the line that an error is about. For what is wrong within a layer, which is read by its
/// type, the parser names the first layer's head; there it is the last line, or table, without which the
/// error is another one.
fn line_to_mend<T: DeserializeOwned>(
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
        // A line that is a part of a longer value leaves what is no TOML.
        others.parse::<toml::Table>().is_ok()
            && (toml::from_str::<T>(&others).err())
                .is_none_or(|other| other.message() != error.message())
    };
    let head_after = |line: usize| (line + 1..=lines.len()).find(|l| is_head(*l));
    let end_of = |line: usize| head_after(line).map_or(lines.len(), |head| head - 1);
    let mut backwards = (first..=lines.len()).rev();
    // What is missing stands on no line.
    if error.message().starts_with("missing field") {
        let head = backwards.find(|&line| is_head(line) && matters(line, end_of(line)));
        return head.unwrap_or(first);
    }
    let last = backwards.find(|&line| !is_head(line) && matters(line, line));
    let Some(last) = last else {
        return first;
    };
    // Without its type no layer is read at all: of the same table another line counts first.
    let is_type = |line: usize| lines[line - 1].trim_start().starts_with("type");
    let same_table = (first..last).rev().take_while(|line| !is_head(*line));
    let mut others = same_table.filter(|line| matters(*line, *line));
    match is_type(last) {
        true => others.next().unwrap_or(last),
        false => last,
    }
}
