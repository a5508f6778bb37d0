//! Curves of the loss and the accuracy, drawn while training.

use std::time::{Duration, Instant};

use console::measure_text_width;

use crate::inspect::LinePlot;
use crate::train::{EpochLogs, Progress, Training};

/// The largest number of points of a curve; later values share a point with their neighbours.
const POINTS: usize = 400;
/// The largest size of a plot in characters.
const SIZE: [usize; 2] = [60, 8];
/// Characters of a plot's axis and of the space beside it.
const AXIS: usize = 10;
/// Between two drawings.
const PAUSE: Duration = Duration::from_millis(150);

/// The curves of one run.
pub(super) struct Live {
    epochs: usize,
    /// By their place between the start and the end of the run.
    points: Vec<Recent>,
    /// Of the validation images: epochs, loss, accuracy.
    validated: Vec<[f64; 3]>,
    /// The sums over the epoch at the last point: images, loss and accuracy.
    before: [f64; 3],
    drawn: Option<Instant>,
}

/// Sums over the images of a point.
#[derive(Clone, Copy, Default)]
struct Recent {
    images: f64,
    loss: f64,
    accuracy: f64,
}

impl Live {
    /// The curves of a run about to start.
    pub(super) fn new(training: &Training) -> Self {
        Self {
            epochs: training.epochs.max(1),
            points: vec![Recent::default(); POINTS],
            validated: Vec::new(),
            before: [0.0; 3],
            drawn: None,
        }
    }

    /// Forgets the sums of the epoch before.
    pub(super) fn begin_epoch(&mut self) {
        self.before = [0.0; 3];
    }

    /// Adds the batches since the last call in this epoch, whose running means `progress` has.
    pub(super) fn add(&mut self, progress: &Progress) {
        let images = progress.images as f64;
        let now = [images, images * progress.loss, images * progress.accuracy];
        let place = (progress.epoch - 1) as f64 + progress.step as f64 / progress.steps as f64;
        let index = (place / self.epochs as f64 * POINTS as f64) as usize;
        let before = std::mem::replace(&mut self.before, now);
        if let Some(point) = self.points.get_mut(index.min(POINTS - 1))
            && images > before[0]
        {
            point.images += images - before[0];
            point.loss += now[1] - before[1];
            point.accuracy += now[2] - before[2];
        }
    }

    /// Adds the end of an epoch.
    pub(super) fn end_epoch(&mut self, logs: &EpochLogs) {
        self.drawn = None;
        if let (Some(loss), Some(accuracy)) = (logs.val_loss, logs.val_accuracy) {
            self.validated.push([logs.epoch as f64, loss, accuracy]);
        }
    }

    /// Whether it is time to draw again.
    pub(super) fn is_due(&mut self) -> bool {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= PAUSE);
        if due {
            self.drawn = Some(Instant::now());
        }
        due
    }

    /// The plots side by side, for a terminal of this size; the loss alone if there is room for
    /// one, and nothing if there is none.
    pub(super) fn lines(&self, [columns, rows]: [usize; 2]) -> Vec<String> {
        // The bar, the title, the axis and two lines of what was printed before stay visible.
        let height = SIZE[1].min(rows.saturating_sub(7));
        let both = (columns / 2).saturating_sub(AXIS + 2);
        let width = if both < 20 {
            columns.saturating_sub(AXIS + 2)
        } else {
            both
        };
        if height < 3 || width < 10 {
            return Vec::new();
        }
        let plot = |title: &str| {
            let marks = if self.validated.is_empty() {
                ""
            } else {
                " (● validation)"
            };
            // The title may be as wide as the plot.
            let titles = [
                format!("{title} by epoch{marks}"),
                format!("{title}{marks}"),
            ];
            let fits = |text: &&String| measure_text_width(text) <= width;
            let fitting = titles.iter().find(fits).map_or(title, String::as_str);
            LinePlot::new(width.min(SIZE[0]), height)
                .title(fitting)
                .x(0.0..=self.epochs as f64)
        };
        let loss = self.drawing(plot("loss").y_from(0.0), |point| point.loss, 1);
        if both < 20 {
            return loss;
        }
        let accuracy = |point: &Recent| point.accuracy;
        let of_accuracy = plot("accuracy").y(0.0..=1.0);
        side_by_side(&loss, &self.drawing(of_accuracy, accuracy, 2))
    }

    fn drawing(&self, plot: LinePlot, of: impl Fn(&Recent) -> f64, mark: usize) -> Vec<String> {
        let step = self.epochs as f64 / POINTS as f64;
        let points: Vec<(f64, f64)> = (self.points.iter().enumerate())
            .filter(|(_, point)| point.images > 0.0)
            .map(|(i, point)| ((i as f64 + 0.5) * step, of(point) / point.images))
            .collect();
        let marks: Vec<(f64, f64)> = self.validated.iter().map(|v| (v[0], v[mark])).collect();
        plot.draw(&points, &marks)
    }
}

/// Two blocks of lines.
fn side_by_side(left: &[String], right: &[String]) -> Vec<String> {
    let width = left.iter().map(|line| measure_text_width(line)).max();
    let width = width.unwrap_or(0) + 3;
    let pairs = left.iter().zip(right);
    pairs
        .map(|(a, b)| {
            let gap = " ".repeat(width - measure_text_width(a));
            format!("{a}{gap}{b}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        let mut training = Training::default();
        (training.epochs, training.steps) = (2, 100);
        Live::new(&training)
    }

    fn progress(epoch: usize, step: usize, loss: f64) -> Progress {
        Progress {
            epoch,
            epochs: 2,
            step,
            steps: 100,
            images: step as u64 * 10,
            loss,
            accuracy: 0.5,
            seconds: 1.0,
        }
    }

    #[test]
    fn a_point_is_the_mean_of_the_batches_since_the_last() {
        let mut live = live();
        live.add(&progress(1, 10, 2.0));
        // The mean of 20 steps is 1.5, so that of the last ten is 1.
        live.add(&progress(1, 20, 1.5));
        live.begin_epoch();
        live.add(&progress(2, 50, 0.5));
        let points: Vec<(usize, f64)> = (live.points.iter().enumerate())
            .filter(|(_, p)| p.images > 0.0)
            .map(|(i, p)| (i, p.loss / p.images))
            .collect();
        assert_eq!(points, [(20, 2.0), (40, 1.0), (300, 0.5)]);
    }

    #[test]
    fn the_plots_fit_the_terminal() {
        let mut live = live();
        live.add(&progress(1, 10, 2.0));
        live.add(&progress(1, 90, 1.5));
        live.end_epoch(&EpochLogs {
            epoch: 1,
            val_loss: Some(0.5),
            val_accuracy: Some(0.9),
            ..EpochLogs::default()
        });
        for columns in 24..200 {
            let lines = live.lines([columns, 24]);
            assert_eq!(lines.len(), SIZE[1] + 3);
            for line in &lines {
                let width = measure_text_width(line);
                assert!(width < columns, "{width} of {columns}: {line}");
            }
            let both = lines.iter().any(|line| line.contains("accuracy"));
            assert_eq!(both, columns >= 64, "{columns}");
        }
        assert_eq!(live.lines([80, 12]).len(), 5 + 3);
        assert!(live.lines([80, 8]).is_empty() && live.lines([15, 24]).is_empty());
    }

    #[test]
    fn drawing_pauses() {
        let mut live = live();
        assert!(live.is_due() && !live.is_due());
        live.end_epoch(&EpochLogs::default());
        assert!(live.is_due());
    }
}
