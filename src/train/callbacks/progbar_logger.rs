//! Shows the progress of training on standard error, much as Keras does.

#[cfg(feature = "cli")]
mod bar;
mod figures;
#[cfg(feature = "cli")]
mod live;
#[cfg(feature = "cli")]
mod shown;

use std::io::{self, IsTerminal as _};

#[cfg(feature = "cli")]
use bar::Bar;
pub use figures::short_time;
use figures::{SEPARATOR, metrics, say};
#[cfg(feature = "cli")]
use live::Live;
#[cfg(feature = "cli")]
pub use shown::beside_bar;

use super::{CONTINUE, Callback, Verdict};
use crate::error::Result;
use crate::state::State;
#[cfg(feature = "cli")]
use crate::train::Training;
use crate::train::{EpochLogs, History, Progress, Verbose};
use crate::words::short;

/// Shows the progress of training on standard error: a bar per epoch, or a line per epoch.
/// [`Options::verbose`](crate::train::Options::verbose) is the usual way to add it.
///
/// On a narrow terminal the bar is shorter, and while it moves it leaves out the speed, then the
/// time left and then the accuracy, but never the loss. At the end of an epoch it shows all
/// figures, on several lines if necessary. With [`Verbose::Live`] the curves of loss and accuracy
/// grow below the bar, with a mark for each validation.
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
    #[cfg(feature = "cli")]
    bar: Option<Bar>,
    /// The curves below the bar.
    #[cfg(feature = "cli")]
    live: Option<Live>,
    rate: Rate,
}

/// The learning rate, which is shown once it has changed.
#[derive(Default)]
struct Rate {
    first: Option<f32>,
    changed: bool,
}

impl ProgbarLogger {
    /// A logger with this verbosity. A bar becomes lines if standard error is not a terminal, or if
    /// the crate is built without the feature `cli`.
    pub fn new(verbose: Verbose) -> Self {
        let verbose = match verbose {
            Verbose::Bar | Verbose::Live
                if !cfg!(feature = "cli") || !io::stderr().is_terminal() =>
            {
                Verbose::Lines
            }
            other => other,
        };
        Self {
            verbose,
            epochs: 0,
            #[cfg(feature = "cli")]
            bar: None,
            #[cfg(feature = "cli")]
            live: None,
            rate: Rate::default(),
        }
    }

    fn finished(&mut self, logs: &EpochLogs) -> Vec<String> {
        let mut parts = finished(logs);
        parts.extend(self.rate.shown(logs.learning_rate));
        parts
    }
}

impl Rate {
    fn shown(&mut self, rate: f32) -> Option<String> {
        self.changed |= *self.first.get_or_insert(rate) != rate;
        self.changed
            .then(|| format!("learning_rate: {}", two_digits(rate)))
    }
}

/// A rate with two digits, in its shortest form: `0.001`, `3.3e-5`.
fn two_digits(rate: f32) -> String {
    let rounded = format!("{rate:.1e}").parse();
    short(rounded.unwrap_or(rate))
}

impl Callback for ProgbarLogger {
    #[cfg(feature = "cli")]
    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        self.live = (self.verbose == Verbose::Live).then(|| Live::new(training));
        Ok(())
    }

    fn on_epoch_begin(&mut self, progress: &Progress) -> Verdict {
        self.epochs = progress.epochs;
        let title = format!("Epoch {}/{}", progress.epoch, progress.epochs);
        match self.verbose {
            Verbose::Bar => say(&title),
            Verbose::Live => {}
            Verbose::Silent | Verbose::Lines => return CONTINUE,
        }
        #[cfg(feature = "cli")]
        match &mut self.live {
            None => self.bar = Some(Bar::new(progress.steps)),
            Some(live) => {
                live.begin_epoch();
                let bar = self
                    .bar
                    .get_or_insert_with(|| Bar::with_plot(progress.steps));
                bar.begin(&title);
                bar.plot(live);
            }
        }
        CONTINUE
    }

    #[cfg(feature = "cli")]
    fn on_batch_end(&mut self, progress: &Progress) -> Verdict {
        if let Some(bar) = &self.bar
            && progress.step > 0
        {
            if let Some(live) = &mut self.live {
                live.add(progress);
                if live.is_due() {
                    bar.plot(live);
                }
            }
            bar.set(progress);
        }
        CONTINUE
    }

    fn on_epoch_end(&mut self, logs: &EpochLogs, _state: &State) -> Verdict {
        let figures = self.finished(logs);
        #[cfg(feature = "cli")]
        if let (Some(bar), Some(live)) = (&self.bar, &mut self.live) {
            live.end_epoch(logs);
            bar.end(&figures);
            bar.plot(live);
            return CONTINUE;
        }
        #[cfg(feature = "cli")]
        if let Some(bar) = self.bar.take() {
            bar.finish(&figures);
            return CONTINUE;
        }
        if self.verbose == Verbose::Lines {
            let figures = figures.join(SEPARATOR);
            say(&format!("Epoch {}/{} - {figures}", logs.epoch, self.epochs));
        }
        CONTINUE
    }

    fn on_train_end(&mut self, history: &History, _state: &State) -> Result<()> {
        #[cfg(feature = "cli")]
        if let Some(bar) = self.bar.take() {
            match &self.live {
                Some(live) => bar.leave(live),
                None => bar.abandon(),
            }
        }
        if self.verbose != Verbose::Silent {
            if let Some(reason) = &history.reason {
                say(reason);
            }
            if let Some(epoch) = history.restored_epoch {
                say(&format!("restored the weights of the best epoch, {epoch}"));
            }
        }
        Ok(())
    }
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn logs() -> EpochLogs {
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
    fn a_line_has_time_speed_accuracy_and_loss() {
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
    fn the_learning_rate_is_shown_once_it_has_changed() {
        let mut rate = Rate::default();
        let shown = [0.001, 0.001, 1e-4, 0.001].map(|r| rate.shown(r));
        let changed = ["learning_rate: 0.0001", "learning_rate: 0.001"];
        let changed = changed.map(|text| Some(text.to_owned()));
        assert_eq!(shown[..2], [None, None]);
        assert_eq!(shown[2..], changed);
    }
}
