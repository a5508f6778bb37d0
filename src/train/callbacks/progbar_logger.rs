//! How training goes, on standard error, much as Keras shows it.

use std::io::{self, IsTerminal, Write};

use console::{Term, measure_text_width, style};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::state::State;
use crate::train::{EpochLogs, History, Progress, Verbose};
use crate::words::short;

/// The characters of a full bar.
const BAR: usize = 20;

/// Tells on standard error how training goes: a bar that fills up once per epoch and then stays, or
/// a line per epoch. [`Options::verbose`](crate::train::Options::verbose) is the usual way to it.
///
/// On a narrow terminal the bar is shorter; while it moves, the loss is told first, then the accuracy,
/// the time left and the speed as far as there is room. At the end of an epoch all is told, on further
/// lines if need be.
///
/// ```
/// use cnn_gpu::train::Verbose;
/// use cnn_gpu::train::callbacks::ProgbarLogger;
/// let mut logger = ProgbarLogger::new(Verbose::Lines);
/// // trainer.fit_with(&train, &mut [&mut logger])?;
/// # let _ = &mut logger;
/// ```
pub struct ProgbarLogger {
    verbose: Verbose,
    epochs: usize,
    bar: Option<ProgressBar>,
    rate: Rate,
}

/// The learning rate, which is told once it has changed.
#[derive(Default)]
struct Rate {
    first: Option<f32>,
    changed: bool,
}

impl ProgbarLogger {
    /// A logger that tells this much. A bar becomes lines where standard error is no terminal.
    pub fn new(verbose: Verbose) -> Self {
        let verbose = match verbose {
            Verbose::Bar if !io::stderr().is_terminal() => Verbose::Lines,
            other => other,
        };
        Self {
            verbose,
            epochs: 0,
            bar: None,
            rate: Rate::default(),
        }
    }

    fn finished(&mut self, logs: &EpochLogs) -> Vec<String> {
        let mut parts = finished(logs);
        parts.extend(self.rate.told(logs.learning_rate));
        parts
    }
}

impl Rate {
    fn told(&mut self, rate: f32) -> Option<String> {
        self.changed |= *self.first.get_or_insert(rate) != rate;
        self.changed
            .then(|| format!("learning_rate: {}", two_digits(rate)))
    }
}

/// A rate to two digits, as short as it can be: `0.001`, `3.3e-5`.
fn two_digits(rate: f32) -> String {
    let rounded = format!("{rate:.1e}").parse();
    short(rounded.unwrap_or(rate))
}

/// Nothing can be done if nobody listens.
fn say(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

impl Callback for ProgbarLogger {
    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        self.epochs = progress.epochs;
        if self.verbose != Verbose::Bar {
            return CONTINUE;
        }
        say(&format!("Epoch {}/{}", progress.epoch, progress.epochs));
        let template = template(progress.steps, columns());
        // The template is ours and good; the default is a fine bar too.
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        let bar = ProgressBar::new(progress.steps as u64).with_style(style);
        bar.set_message("preparing the device");
        bar.tick();
        self.bar = Some(bar);
        CONTINUE
    }

    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        if let Some(bar) = &self.bar
            && progress.step > 0
        {
            bar.set_message(under_way(progress, columns()));
            bar.set_position(progress.step as u64);
        }
        CONTINUE
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        let told = self.finished(logs);
        match (self.bar.take(), self.verbose) {
            (Some(bar), _) => {
                // Written anew, as a bar's own line is cut off at the terminal's edge.
                let steps = bar.length().unwrap_or_default();
                bar.finish_and_clear();
                say(&whole(steps, &told, columns()));
            }
            (None, Verbose::Lines) => {
                let told = told.join(SEPARATOR);
                say(&format!("Epoch {}/{} - {told}", logs.epoch, self.epochs));
            }
            _ => {}
        }
        CONTINUE
    }

    fn on_train_end(&mut self, history: &History, _state: &State) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
        if self.verbose != Verbose::Silent {
            if let Some(reason) = &history.reason {
                say(reason);
            }
            if let Some(epoch) = history.restored_epoch {
                say(&format!(
                    "the weights of epoch {epoch}, the best, are put back"
                ));
            }
        }
        Ok(())
    }
}

/// Between two figures, as Keras has it.
const SEPARATOR: &str = " - ";

/// In its place where a line ends.
const INDENT: &str = "\n    ";

/// How many characters the terminal's lines have.
fn columns() -> usize {
    Term::stderr().size().1.into()
}

/// The width of a bar that moves.
fn bar_width(columns: usize) -> usize {
    (columns / 4).min(BAR)
}

fn template(steps: usize, columns: usize) -> String {
    let (digits, width) = (steps.to_string().len(), bar_width(columns));
    format!("{{pos:>{digits}}}/{{len}} {{bar:{width}.green}} {{wide_msg}}")
}

/// The figures of an epoch under way, as many as there is room for behind the bar, in Keras's order.
fn under_way(p: &Progress, columns: usize) -> String {
    let speed = p.images as f64 / p.seconds;
    let left = p.seconds * (p.steps - p.step.min(p.steps)) as f64 / p.step as f64;
    let [speed, accuracy, loss] = metrics(speed, p.accuracy, p.loss);
    let left = format!("{} left", short_time(left));
    let before = 2 * p.steps.to_string().len() + 1 + bar_width(columns) + 2;
    let room = columns.saturating_sub(before);
    let choices = [
        vec![&*left, &*speed, &*accuracy, &*loss],
        vec![&*left, &*accuracy, &*loss],
        vec![&*accuracy, &*loss],
    ];
    (choices.iter().map(|parts| parts.join(SEPARATOR)))
        .find(|line| measure_text_width(line) <= room)
        .unwrap_or(loss)
}

/// The last line of an epoch with its bar, which makes room for the figures; what then still does not
/// fit into the line goes on the next.
fn whole(steps: u64, parts: &[String], columns: usize) -> String {
    let figures = measure_text_width(&parts.join(SEPARATOR));
    let steps = format!("{steps}/{steps} ");
    let room = columns.saturating_sub(steps.len() + 1 + figures);
    let width = match room {
        // Figures that need another line anyhow leave room for a whole bar.
        0..4 => bar_width(columns),
        room => room.min(BAR),
    };
    let bar = style("━".repeat(width)).green().for_stderr();
    let mut line = steps.len() + width;
    let mut out = format!("{steps}{bar}");
    for (i, part) in parts.iter().enumerate() {
        let separator = if i == 0 { " " } else { SEPARATOR };
        let length = measure_text_width(part);
        if i > 0 && line + separator.len() + length > columns {
            out += INDENT;
            line = INDENT.len() - 1;
        } else {
            out += separator;
            line += separator.len();
        }
        out += part;
        line += length;
    }
    out
}

fn finished(logs: &EpochLogs) -> Vec<String> {
    let mut parts = vec![short_time(logs.seconds)];
    parts.extend(metrics(logs.images_per_second, logs.accuracy, logs.loss));
    if let (Some(accuracy), Some(loss)) = (logs.val_accuracy, logs.val_loss) {
        parts.push(format!("val_accuracy: {accuracy:.4}"));
        parts.push(format!("val_loss: {loss:.4}"));
    }
    parts
}

fn metrics(images_per_second: f64, accuracy: f64, loss: f64) -> [String; 3] {
    let speed = HumanCount(images_per_second.round() as u64);
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

    fn logs() -> EpochLogs {
        EpochLogs {
            epoch: 1,
            loss: 0.17034,
            accuracy: 0.9491,
            seconds: 16.5,
            images_per_second: 3636.4,
            ..EpochLogs::default()
        }
    }

    #[test]
    fn a_line_tells_time_speed_accuracy_and_loss() {
        let expected = "16.5s - 3,636 images/s - accuracy: 0.9491 - loss: 0.1703";
        assert_eq!(finished(&logs()).join(SEPARATOR), expected);
        let validated = EpochLogs {
            val_loss: Some(0.25),
            val_accuracy: Some(0.5),
            ..logs()
        };
        let expected = format!("{expected} - val_accuracy: 0.5000 - val_loss: 0.2500");
        assert_eq!(finished(&validated).join(SEPARATOR), expected);
    }

    #[test]
    fn an_epochs_last_line_tells_all_at_any_width() {
        let validated = EpochLogs {
            val_loss: Some(0.25),
            val_accuracy: Some(0.5),
            ..logs()
        };
        for logs in [logs(), validated] {
            let parts = finished(&logs);
            for columns in 24..200 {
                let text = whole(938, &parts, columns);
                let joined = text.replace(INDENT, SEPARATOR);
                assert!(joined.ends_with(&parts.join(SEPARATOR)), "{text}");
                for line in text.lines() {
                    let width = measure_text_width(line);
                    assert!(width <= columns, "{width} of {columns}: {line}");
                }
            }
        }
        // The bar gives way before the figures do.
        let text = whole(938, &finished(&logs()), 80);
        assert_eq!(measure_text_width(&text), 80, "{text}");
    }

    #[test]
    fn a_bar_under_way_tells_what_there_is_room_for() {
        let progress = Progress {
            epoch: 1,
            epochs: 5,
            step: 469,
            steps: 938,
            images: 30_016,
            seconds: 10.0,
            loss: 0.25,
            accuracy: 0.5,
        };
        let told = |columns| under_way(&progress, columns);
        let all = "10.0s left - 3,002 images/s - accuracy: 0.5000 - loss: 0.2500";
        assert_eq!(told(100), all);
        assert_eq!(told(80), "10.0s left - accuracy: 0.5000 - loss: 0.2500");
        assert_eq!(told(60), "accuracy: 0.5000 - loss: 0.2500");
        assert_eq!(told(40), "loss: 0.2500");
        for columns in 33..200 {
            let line = format!(
                "469/938 {} {}",
                "━".repeat(bar_width(columns)),
                told(columns)
            );
            assert!(measure_text_width(&line) <= columns, "{columns}: {line}");
        }
    }

    #[test]
    fn the_learning_rate_is_told_once_it_has_changed() {
        let mut rate = Rate::default();
        let told = [0.001, 0.001, 1e-4, 0.001].map(|r| rate.told(r));
        let changed = ["learning_rate: 0.0001", "learning_rate: 0.001"];
        let changed = changed.map(|text| Some(text.to_owned()));
        assert_eq!(told[..2], [None, None]);
        assert_eq!(told[2..], changed);
    }
}
