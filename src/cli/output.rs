//! Output: results go to standard output, everything else to standard error.

use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use cnn_gpu::train::Evaluation;
use cnn_gpu::train::callbacks::beside_bar;
use serde::Serialize;

/// The format of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Readable text
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

/// Commands that tests run in their own process print nothing.
#[cfg(test)]
use io::{sink as stderr, sink as stdout};
#[cfg(not(test))]
use io::{stderr, stdout};

/// Whether this process prints nothing, as one of several of which another prints.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Stops printing, or goes on.
#[cfg(feature = "mpi")]
pub fn silence(silent: bool) {
    SILENT.store(silent, Ordering::Relaxed);
}

fn is_silent() -> bool {
    SILENT.load(Ordering::Relaxed)
}

/// Standard output. Once its reader has gone (`| head -1`), writes are discarded, so that a closed
/// pipe does not end a run.
#[derive(Default)]
pub struct Results {
    closed: bool,
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed || is_silent() {
            return Ok(bytes.len());
        }
        match stdout().write(bytes) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(bytes.len())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match stdout().flush() {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            result => result,
        }
    }
}

/// Prints a result as text.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = Results::default();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}

/// Prints a result as one line of JSON.
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string(value)?))
}

/// Prints a line to standard error, above a progress bar. A failure is ignored, as there is nowhere
/// to report it.
pub fn say(line: &str) {
    if is_silent() {
        return;
    }
    let _ = beside_bar(|_| writeln!(stderr(), "{line}"));
}

/// Prints a line to standard error like [`say`]. Without a bar, the terminal's `^C` stays in a line of
/// its own.
pub fn say_after_interrupt(line: &str) {
    if is_silent() {
        return;
    }
    let _ = beside_bar(|has_bar| {
        let gap = if has_bar { "" } else { "\n" };
        writeln!(stderr(), "{gap}{line}")
    });
}

/// `0.9904 (9,904 of 10,000)`. The built-in digits are named, so that their accuracy is not
/// mistaken for MNIST's.
pub fn accuracy(scores: &Evaluation, dataset: &str) -> String {
    let (correct, images) = (count(scores.correct), count(scores.images));
    let of = match dataset {
        "digits" => " built-in digits",
        _ => "",
    };
    format!("{:.4} ({correct} of {images}{of})", scores.accuracy)
}

/// A command on a run's folder, quoted so that it can be pasted into a shell.
pub fn command(words: &str, run: &Path) -> String {
    let run = run.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/\\:._-+=@%".contains(c);
    if run.chars().all(plain) {
        format!("cnn-gpu {words} {run}")
    } else {
        format!("cnn-gpu {words} '{}'", run.replace('\'', r"'\''"))
    }
}

/// `93322` -> `93,322`.
pub fn count(n: impl TryInto<u64>) -> String {
    indicatif::HumanCount(n.try_into().unwrap_or(u64::MAX)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_can_be_pasted() {
        let evaluate = |path: &str| command("evaluate", Path::new(path));
        assert_eq!(evaluate("runs/a-1"), "cnn-gpu evaluate runs/a-1");
        assert_eq!(evaluate("my run"), "cnn-gpu evaluate 'my run'");
        assert_eq!(evaluate("it's"), r"cnn-gpu evaluate 'it'\''s'");
    }
}
