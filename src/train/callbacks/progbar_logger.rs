//! How training goes, on standard error, much as Keras shows it.

use std::io::{self, IsTerminal, Write};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::state::State;
use crate::train::{EpochLogs, History, Progress, Verbose};

/// Tells on standard error how training goes: a bar that fills up once per epoch and then stays, or
/// a line per epoch. [`Options::verbose`](crate::train::Options::verbose) is the usual way to it.
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

    fn finished(&mut self, logs: &EpochLogs) -> String {
        format!("{}{}", finished(logs), self.rate.told(logs.learning_rate))
    }
}

impl Rate {
    fn told(&mut self, rate: f32) -> String {
        self.changed |= *self.first.get_or_insert(rate) != rate;
        match self.changed {
            true => format!(" - learning_rate: {rate:.1e}"),
            false => String::new(),
        }
    }
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
        let told = self.finished(logs);
        match (self.bar.take(), self.verbose) {
            (Some(bar), _) => bar.finish_with_message(told),
            (None, Verbose::Lines) => {
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
        short_time(left),
        metrics(speed, p.accuracy, p.loss)
    )
}

fn finished(logs: &EpochLogs) -> String {
    let rest = metrics(logs.images_per_second, logs.accuracy, logs.loss);
    let validation = match (logs.val_accuracy, logs.val_loss) {
        (Some(accuracy), Some(loss)) => {
            format!(" - val_accuracy: {accuracy:.4} - val_loss: {loss:.4}")
        }
        _ => String::new(),
    };
    format!("{} - {rest}{validation}", short_time(logs.seconds))
}

fn metrics(images_per_second: f64, accuracy: f64, loss: f64) -> String {
    let speed = HumanCount(images_per_second.round() as u64);
    format!("{speed} images/s - accuracy: {accuracy:.4} - loss: {loss:.4}")
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

    #[test]
    fn a_line_tells_time_speed_accuracy_and_loss() {
        let logs = EpochLogs {
            epoch: 1,
            loss: 0.17034,
            accuracy: 0.9491,
            seconds: 16.5,
            images_per_second: 3636.4,
            ..EpochLogs::default()
        };
        let expected = "16.5s - 3,636 images/s - accuracy: 0.9491 - loss: 0.1703";
        assert_eq!(finished(&logs), expected);
        let validated = EpochLogs {
            val_loss: Some(0.25),
            val_accuracy: Some(0.5),
            ..logs
        };
        let expected = format!("{expected} - val_accuracy: 0.5000 - val_loss: 0.2500");
        assert_eq!(finished(&validated), expected);
    }

    #[test]
    fn the_learning_rate_is_told_once_it_has_changed() {
        let mut rate = Rate::default();
        let told = [0.001, 0.001, 1e-4, 0.001].map(|r| rate.told(r));
        let changed = [" - learning_rate: 1.0e-4", " - learning_rate: 1.0e-3"];
        assert_eq!(told, ["", "", changed[0], changed[1]]);
    }
}
