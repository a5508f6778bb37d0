//! The loss by learning rate, and the rate to train with.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use serde::Serialize;

/// One step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RatePoint {
    /// The step's learning rate.
    pub learning_rate: f32,
    /// The batch's mean loss before the step's update.
    pub loss: f64,
    /// The exponential moving average of the losses so far, corrected for its start.
    pub smoothed: f64,
}

/// Why a range test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SweepEnding {
    /// After its last step.
    Finished,
    /// The smoothed loss exceeded [`RateSweep::stop_at`](super::RateSweep::stop_at) times its lowest value.
    Diverged,
    /// The loss was NaN or infinite.
    NotFinite,
}

impl Display for SweepEnding {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finished => "all steps were taken",
            Self::Diverged => "the loss grew to several times its lowest value",
            Self::NotFinite => "the loss became NaN or infinite",
        })
    }
}

/// The loss by learning rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RateCurve {
    /// The steps, in the order of their rates.
    pub points: Vec<RatePoint>,
    /// Why the test ended.
    pub ending: SweepEnding,
    /// The points before this one are too early to count: the loss has hardly changed.
    first: usize,
}

/// The steps at the end that do not count: the loss is already growing.
const LAST: usize = 5;

impl RateCurve {
    /// The curve of a test of `steps` steps.
    pub(super) fn new(points: Vec<RatePoint>, ending: SweepEnding, steps: usize) -> Self {
        Self {
            points,
            ending,
            first: steps / 10,
        }
    }

    /// The points to choose from: all but the first tenth of the test and the last five.
    fn middle(&self) -> &[RatePoint] {
        let end = self.points.len().saturating_sub(LAST);
        self.points.get(self.first..end).unwrap_or_default()
    }

    /// Whether the smoothed loss falls by more than batches differ: by at least twice the standard
    /// deviation of the losses at small rates, and by at least a fiftieth.
    pub fn falls(&self) -> bool {
        let (Some(low), true) = (self.lowest_index(), self.first > 0) else {
            return false;
        };
        let early = self.points.iter().take(self.first);
        let start = early.map(|point| point.loss).sum::<f64>() / self.first as f64;
        let lowest = self.middle()[low].smoothed;
        start - lowest > (2.0 * self.noise()).max(0.02 * start.abs())
    }

    /// The standard deviation of the losses of the first third, from the differences between
    /// neighbours, which a falling curve hardly changes.
    fn noise(&self) -> f64 {
        let third = &self.points[..self.points.len() / 3];
        let squares = third
            .windows(2)
            .map(|pair| (pair[1].loss - pair[0].loss).powi(2));
        let count = third.len().saturating_sub(1).max(1);
        (squares.sum::<f64>() / (2 * count) as f64).sqrt()
    }

    /// The rate at which the smoothed loss falls fastest per power of ten before it is lowest, over a
    /// few steps; `None` if it does not [fall](RateCurve::falls).
    pub fn steepest(&self) -> Option<f32> {
        let (middle, low) = (self.middle(), self.lowest_index()?);
        // Between two single steps, one easy batch would decide.
        let half = (self.first * 2 / 5).max(2);
        let slope = |i: usize| {
            let last = (i + half).min(middle.len() - 1);
            let [from, to] = [i.saturating_sub(half), last].map(|i| middle[i]);
            let distance = f64::from(to.learning_rate / from.learning_rate).ln();
            (to.smoothed - from.smoothed) / distance
        };
        let slopes = (0..=low).map(|i| (slope(i), middle[i].learning_rate));
        let (slope, rate) = slopes.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (self.falls() && slope < 0.0).then_some(rate)
    }

    /// The rate at which the smoothed loss is lowest; `None` after too few steps.
    pub fn lowest(&self) -> Option<f32> {
        Some(self.middle()[self.lowest_index()?].learning_rate)
    }

    /// The place of the lowest smoothed loss in [`RateCurve::middle`].
    fn lowest_index(&self) -> Option<usize> {
        let losses = self.middle().iter().map(|point| point.smoothed).enumerate();
        let lowest = losses.min_by(|a, b| a.1.total_cmp(&b.1));
        lowest.map(|(index, _)| index)
    }

    /// The losses worth drawing: from the lowest up to one and a half times the first, as a diverging
    /// loss would hide all others.
    pub fn losses(&self) -> RangeInclusive<f64> {
        let smoothed = self.points.iter().map(|point| point.smoothed);
        let losses = self.points.iter().map(|point| point.loss);
        let low = losses.fold(f64::INFINITY, f64::min);
        let high = smoothed.fold(f64::NEG_INFINITY, f64::max);
        let first = self.points.first().map_or(0.0, |point| point.smoothed);
        let high = high.min(1.5 * first);
        match low < high {
            true => low..=high,
            false if low.is_finite() => low - 0.5..=low + 0.5,
            false => 0.0..=1.0,
        }
    }

    /// The rate to train with: the smaller of [`RateCurve::steepest`] and a tenth of
    /// [`RateCurve::lowest`]; `None` if the loss does not [fall](RateCurve::falls), or if no rate as
    /// small was tried.
    pub fn suggested(&self) -> Option<f32> {
        let smaller = self.steepest()?.min(self.lowest()? / 10.0);
        let is_tried = self.points.first()?.learning_rate <= smaller;
        is_tried.then_some(smaller)
    }
}
