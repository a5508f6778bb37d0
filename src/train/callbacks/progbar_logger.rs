//! How training goes, on standard error, much as Keras shows it.

use std::io::IsTerminal;

use cnn_gpu::Result;
use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{CONTINUE, Callback, Verdict};
use cnn_gpu::train::{EpochLogs, History, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use super::output::{count, say};

/// How much is shown: `--verbose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Nothing but warnings.
    Silent,
    /// A bar on a terminal, else lines.
    Bar,
    /// A line per epoch.
    Lines,
}

impl From<u8> for Verbosity {
    fn from(verbose: u8) -> Self {
        match verbose {
            0 => Self::Silent,
            1 => Self::Bar,
            _ => Self::Lines,
        }
    }
}

/// The callback for this verbosity.
pub fn callback(verbosity: Verbosity) -> Box<dyn Callback> {
    match verbosity {
        Verbosity::Silent => Box::new(Silent),
        Verbosity::Bar if std::io::stderr().is_terminal() => Box::new(Bar::default()),
        Verbosity::Bar | Verbosity::Lines => Box::new(Lines::default()),
    }
}

struct Silent;

impl Callback for Silent {}

/// A line per epoch.
#[derive(Default)]
struct Lines {
    epochs: usize,
}

impl Callback for Lines {
    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        self.epochs = progress.epochs;
        CONTINUE
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        say(&format!(
            "Epoch {}/{} - {}",
            logs.epoch,
            self.epochs,
            finished(logs)
        ));
        CONTINUE
    }
}

/// A bar that fills up once per epoch and then stays.
#[derive(Default)]
struct Bar {
    bar: Option<ProgressBar>,
}

impl Callback for Bar {
    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        say(&format!("Epoch {}/{}", progress.epoch, progress.epochs));
        let bar = ProgressBar::new(progress.steps as u64).with_style(style(progress.steps));
        bar.set_message("preparing the device");
        bar.tick();
        self.bar = Some(bar);
        CONTINUE
    }

    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        if let Some(bar) = &self.bar
            && progress.step > 0
        {
            bar.set_message(under_way(progress));
            bar.set_position(progress.step as u64);
        }
        CONTINUE
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        if let Some(bar) = self.bar.take() {
            bar.finish_with_message(finished(logs));
        }
        CONTINUE
    }

    fn on_train_end(&mut self, _history: &History, _state: &State) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
        Ok(())
    }
}

fn style(steps: usize) -> ProgressStyle {
    let width = steps.to_string().len();
    let template = format!("{{pos:>{width}}}/{{len}} {{bar:20.green}} {{wide_msg}}");
    // The template is ours and good; the default is a fine bar too.
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}

fn under_way(p: &Progress) -> String {
    let speed = p.images as f64 / p.seconds;
    let left = p.seconds * (p.steps - p.step.min(p.steps)) as f64 / p.step as f64;
    format!(
        "{} left - {}",
        time(left),
        metrics(speed, p.accuracy, p.loss)
    )
}

fn finished(logs: &EpochLogs) -> String {
    let rest = metrics(logs.images_per_second, logs.accuracy, logs.loss);
    format!("{} - {rest}", time(logs.seconds))
}

fn metrics(images_per_second: f64, accuracy: f64, loss: f64) -> String {
    let speed = count(images_per_second.round() as u64);
    format!("{speed} images/s - accuracy: {accuracy:.4} - loss: {loss:.4}")
}

/// `0.42s`, `7.3s`, `42s`, `3m07s`.
pub fn time(seconds: f64) -> String {
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
        assert_eq!(time(0.5), "0.50s");
        assert_eq!(time(16.52), "16.5s");
        assert_eq!(time(187.0), "3m07s");
    }

    #[test]
    fn a_line_tells_time_speed_accuracy_and_loss() {
        let logs = EpochLogs {
            epoch: 1,
            loss: 0.17034,
            accuracy: 0.9491,
            seconds: 16.5,
            images_per_second: 3636.4,
        };
        let expected = "16.5s - 3,636 images/s - accuracy: 0.9491 - loss: 0.1703";
        assert_eq!(finished(&logs), expected);
    }
}
