//! The library's errors: one line each that says what was wrong, what was expected and what to do.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::data::DataError;
use crate::words::short;

/// What can go wrong between a model's description and its trained weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer cannot do what its description asks.
    #[error("layer `{layer}`: {message}")]
    Layer {
        /// The layer's name, as `summary` prints it.
        layer: String,
        /// What was expected and what was received.
        message: String,
    },
    /// A model as a whole makes no sense.
    #[error("model `{model}`: {message}")]
    Model {
        /// The model's name.
        model: String,
        /// What was expected and what was received.
        message: String,
    },
    /// A file cannot be read, written or understood.
    #[error("{}: {message}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was expected and what was found.
        message: String,
    },
    /// A run has no weights to load yet, but can be resumed.
    #[error(
        "{}: no weights yet, as the run has not reached the end of an epoch; resume it first",
        run.display()
    )]
    NoWeightsYet {
        /// The run's folder.
        run: PathBuf,
    },
    /// A data set cannot be had.
    #[error(transparent)]
    Data(#[from] DataError),
    /// An argument lies outside what is possible.
    #[error("{0}")]
    Argument(String),
    /// No device of the wanted kind, or one that cannot run this plan.
    #[error("{0}")]
    Device(String),
    /// The device stopped working while it ran.
    #[error(
        "device lost: {0}; the driver or the system took it away, so run again, with smaller batches if it repeats"
    )]
    DeviceLost(String),
    /// The device has no memory left, or could never have so much.
    #[error("out of memory: {0}; use a smaller model or batch, or another device")]
    OutOfMemory(String),
    /// The device has not answered for long.
    #[error("device hung: {0}; try smaller batches, and a newer driver")]
    DeviceHung(String),
    /// A plan or a data set is larger than the device allows; nothing was made on it.
    #[error("{needs}, and {allows}; {fits}")]
    TooLarge {
        /// What needs how much.
        needs: String,
        /// What allows how much.
        allows: String,
        /// What would fit.
        fits: String,
    },
    /// The loss is NaN or infinite.
    #[error(
        "the loss became {loss} at step {step} (epoch {epoch}, learning rate {}){}; try a smaller learning rate",
        short(*learning_rate),
        origin.as_ref().map(|o| format!(", and the first that was not a finite number is {o}")).unwrap_or_default()
    )]
    NonFiniteLoss {
        /// The first such mean loss.
        loss: f32,
        /// Counted from 1 over the whole run.
        step: u64,
        /// Counted from 1.
        epoch: usize,
        /// The rate in force.
        learning_rate: f32,
        /// The first buffer of the step that was not finite, and the operation that met it.
        origin: Option<String>,
    },
    /// The last update made weights NaN or infinite, which the next loss would have told.
    #[error(
        "the weights `{parameter}` were no longer finite numbers after step {step} (epoch {epoch}, learning rate {}); try a smaller learning rate",
        short(*learning_rate)
    )]
    NonFiniteWeights {
        /// The first such parameter's name.
        parameter: String,
        /// Counted from 1 over the whole run.
        step: u64,
        /// Counted from 1.
        epoch: usize,
        /// The rate in force.
        learning_rate: f32,
    },
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error about one file.
    pub fn file(path: &Path, message: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            message: one_line(&message.to_string()),
        }
    }

    /// An error about one layer.
    pub fn layer(layer: impl Into<String>, message: impl ToString) -> Self {
        Self::Layer {
            layer: layer.into(),
            message: message.to_string(),
        }
    }
}

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

/// The most characters of a message that may quote a file.
const MOST_CHARACTERS: usize = 1000;

/// A message as one line of a sane length, whatever file it quotes.
pub(crate) fn one_line(message: &str) -> String {
    let mut line = String::new();
    for character in message.trim_end().chars().take(MOST_CHARACTERS) {
        match character {
            '\n' => line.push_str("; "),
            _ if character.is_control() => line.extend(character.escape_default()),
            _ => line.push(character),
        }
    }
    if message.chars().nth(MOST_CHARACTERS).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_quotes_a_file_is_one_line() {
        assert_eq!(
            one_line("expected\n`a\r\u{1b}é`\n"),
            "expected; `a\\r\\u{1b}é`"
        );
        let long = one_line(&"é".repeat(2 * MOST_CHARACTERS));
        assert_eq!(long.chars().count(), MOST_CHARACTERS + 1);
    }
}
