//! The progress bar of a terminal.

use console::{Term, measure_text_width, style};
use indicatif::{ProgressBar, ProgressStyle};

use super::figures::{SEPARATOR, metrics, say, short_time};
use super::live::Live;
use super::shown;
use crate::train::Progress;

/// The length of a full bar, in characters.
const BAR: usize = 20;

/// Replaces the separator where a line is broken.
const INDENT: &str = "\n    ";

/// The bar of one epoch, or, with a plot below it, of all epochs in turn.
pub(super) struct Bar(ProgressBar);

/// What a bar says before the first step has finished.
const FIRST: &str = "preparing the device";

impl Bar {
    /// Draws an empty bar.
    pub(super) fn new(steps: usize) -> Self {
        let bar = Self::styled(steps, &template(steps, columns()));
        bar.0.set_message(FIRST);
        bar.0.tick();
        bar
    }

    /// A bar with room for a plot below it.
    pub(super) fn with_plot(steps: usize) -> Self {
        let template = template(steps, columns());
        Self::styled(steps, &format!("{template}{{prefix}}"))
    }

    fn styled(steps: usize, template: &str) -> Self {
        // The template is valid; the default would do as well.
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        let bar = ProgressBar::new(steps as u64).with_style(style);
        shown::announce(&bar);
        Self(bar)
    }

    /// Begins an epoch: prints its title above the bar, which starts again.
    pub(super) fn begin(&self, title: &str) {
        self.0.set_message(FIRST);
        self.0.set_position(0);
        self.0.println(title);
    }

    /// Draws the curves below the bar.
    pub(super) fn plot(&self, live: &Live) {
        let lines = live.lines(size());
        let prefix: String = lines.iter().map(|line| format!("\n{line}")).collect();
        self.0.set_prefix(prefix);
    }

    /// Ends an epoch: prints its figures above the bar, which stays.
    pub(super) fn end(&self, figures: &[String]) {
        let steps = self.0.length().unwrap_or_default();
        self.0.println(whole(steps, figures, columns()));
    }

    /// Replaces the bar by the last curves.
    pub(super) fn leave(self, live: &Live) {
        self.0.finish_and_clear();
        live.lines(size()).iter().for_each(|line| say(line));
    }

    /// Moves the bar to where `progress` is.
    pub(super) fn set(&self, progress: &Progress) {
        self.0.set_message(partial_epoch(progress, columns()));
        self.0.set_position(progress.step as u64);
    }
    /// Ends the epoch with these figures. The bar is printed again as plain lines, because
    /// indicatif cuts its line off at the terminal's edge.
    pub(super) fn finish(self, figures: &[String]) {
        let steps = self.0.length().unwrap_or_default();
        self.0.finish_and_clear();
        say(&whole(steps, figures, columns()));
    }

    /// Leaves the bar as it is.
    pub(super) fn abandon(self) {
        self.0.abandon();
    }
}

/// The terminal's width in characters.
fn columns() -> usize {
    size()[0]
}

/// The terminal's width and height in characters.
fn size() -> [usize; 2] {
    let (rows, columns) = Term::stderr().size();
    [columns.into(), rows.into()]
}

/// The width of a moving bar.
fn bar_width(columns: usize) -> usize {
    (columns / 4).min(BAR)
}

fn template(steps: usize, columns: usize) -> String {
    let (digits, width) = (steps.to_string().len(), bar_width(columns));
    format!("{{pos:>{digits}}}/{{len}} {{bar:{width}.green}} {{wide_msg}}")
}

/// The figures of an unfinished epoch, as many as fit next to the bar, in Keras's order.
fn partial_epoch(p: &Progress, columns: usize) -> String {
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

/// The final text of an epoch: a bar, shortened to make room for the figures, and the figures, on
/// several lines if they do not fit.
fn whole(steps: u64, parts: &[String], columns: usize) -> String {
    let figures = measure_text_width(&parts.join(SEPARATOR));
    let steps = format!("{steps}/{steps} ");
    let room = columns.saturating_sub(steps.len() + 1 + figures);
    let width = match room {
        // If the figures need another line anyway, there is room for the bar.
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

#[cfg(test)]
mod tests {
    use super::super::finished;
    use super::super::tests::logs;
    use super::*;
    use crate::train::EpochLogs;

    #[test]
    fn the_final_text_of_an_epoch_has_all_figures_at_any_width() {
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
        // The bar is shortened before the figures are.
        let text = whole(938, &finished(&logs()), 80);
        assert_eq!(measure_text_width(&text), 80, "{text}");
    }

    #[test]
    fn a_moving_bar_shows_the_figures_that_fit() {
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
        let shown = |columns| partial_epoch(&progress, columns);
        let all = "10.0s left - 3,002 images/s - accuracy: 0.5000 - loss: 0.2500";
        assert_eq!(shown(100), all);
        assert_eq!(shown(80), "10.0s left - accuracy: 0.5000 - loss: 0.2500");
        assert_eq!(shown(60), "accuracy: 0.5000 - loss: 0.2500");
        assert_eq!(shown(40), "loss: 0.2500");
        for columns in 33..200 {
            let line = format!(
                "469/938 {} {}",
                "━".repeat(bar_width(columns)),
                shown(columns)
            );
            assert!(measure_text_width(&line) <= columns, "{columns}: {line}");
        }
    }
}
