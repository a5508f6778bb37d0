//! The learning-rate range test.

use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;

use serde::Serialize;

use super::source::{Resident, Source as _};
use super::trainer::Pass;
use super::{Position, Trainer, TrainingData};
use crate::error::{Error, Result};
use crate::exec::{Executor, Step};
use crate::rng::Key;
use crate::words::short;

/// A learning-rate range test (Smith, 2017): trains for a few steps with a rate that grows
/// exponentially from `from` to `to`, and watches the loss.
///
/// The settings are those of fastai's `lr_find`, except that the loss is smoothed less: fastai keeps
/// 0.98, with which the smoothed loss of 100 steps follows the true one only after tens of steps, so
/// that its lowest value lies at rates that are too large.
///
/// ```
/// use cnn_gpu::train::RateSweep;
/// let sweep = RateSweep::default();
/// assert_eq!((sweep.from, sweep.to, sweep.steps), (1e-7, 10.0, 100));
/// assert_eq!((sweep.rate(0), sweep.rate(50)), (1e-7, 1e-3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RateSweep {
    /// The learning rate of the first step. Default 1e-7.
    pub from: f32,
    /// The learning rate that the step after the last one would have. Default 10.
    pub to: f32,
    /// Number of steps. Default 100.
    pub steps: usize,
    /// Share of the smoothed loss that each step keeps. Default 0.9.
    pub smoothing: f64,
    /// The test ends when the smoothed loss exceeds its lowest value by this factor. Default 4.
    pub stop_at: f64,
}

impl Default for RateSweep {
    fn default() -> Self {
        Self {
            from: 1e-7,
            to: 10.0,
            steps: 100,
            smoothing: 0.9,
            stop_at: 4.0,
        }
    }
}

impl RateSweep {
    /// Sets the first and the last learning rate.
    #[must_use]
    pub fn range(mut self, from: f32, to: f32) -> Self {
        (self.from, self.to) = (from, to);
        self
    }

    /// Sets the number of steps.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// The learning rate of a step, counted from 0: `from * (to / from)^(step / steps)`.
    pub fn rate(&self, step: usize) -> f32 {
        let (from, to) = (f64::from(self.from), f64::from(self.to));
        (from * (to / from).powf(step as f64 / self.steps as f64)) as f32
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// Rates that do not grow from a positive number, fewer than [`RateSweep::LEAST`] steps.
    pub fn check(&self) -> Result<()> {
        let rates = f32::MIN_POSITIVE..=f32::MAX;
        if !rates.contains(&self.from) || !rates.contains(&self.to) || self.from >= self.to {
            return Err(Error::Argument(format!(
                "expected learning rates that grow from a positive number, received {} to {}",
                short(self.from),
                short(self.to)
            )));
        }
        if self.steps < Self::LEAST {
            return Err(Error::Argument(format!(
                "expected at least {} steps, received {}: fewer give no curve",
                Self::LEAST,
                self.steps
            )));
        }
        Ok(())
    }

    /// The fewest steps that give a curve.
    pub const LEAST: usize = 20;
}

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
    /// The smoothed loss exceeded [`RateSweep::stop_at`] times its lowest value.
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
    /// The points to choose from: all but the first tenth of the test and the last five.
    fn middle(&self) -> &[RatePoint] {
        let end = self.points.len().saturating_sub(LAST);
        self.points.get(self.first..end).unwrap_or_default()
    }

    /// The rate at which the smoothed loss falls fastest per power of ten; `None` if it never falls,
    /// or after too few steps.
    pub fn steepest(&self) -> Option<f32> {
        let slope = |pair: &[RatePoint]| {
            let distance = f64::from(pair[1].learning_rate / pair[0].learning_rate).ln();
            (pair[1].smoothed - pair[0].smoothed) / distance
        };
        let slopes = self.middle().windows(2).map(|pair| (slope(pair), pair[0]));
        let (slope, point) = slopes.min_by(|a, b| a.0.total_cmp(&b.0))?;
        (slope < 0.0).then_some(point.learning_rate)
    }

    /// The rate at which the smoothed loss is lowest; `None` after too few steps.
    pub fn lowest(&self) -> Option<f32> {
        let by = |a: &&RatePoint, b: &&RatePoint| a.smoothed.total_cmp(&b.smoothed);
        let point = self.middle().iter().min_by(by)?;
        Some(point.learning_rate)
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
    /// [`RateCurve::lowest`]; `None` if the loss never falls.
    pub fn suggested(&self) -> Option<f32> {
        Some(self.steepest()?.min(self.lowest()? / 10.0))
    }
}

/// A moving average, corrected for its start as in Adam.
struct Smoothed {
    keep: f64,
    value: f64,
    count: i32,
}

impl Smoothed {
    fn add(&mut self, loss: f64) -> f64 {
        self.count += 1;
        self.value = self.keep * self.value + (1.0 - self.keep) * loss;
        self.value / (1.0 - self.keep.powi(self.count))
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Finds a good learning rate by training with ever larger ones for a few steps; see
    /// [`RateSweep`]. Weights and optimizer are afterwards as they were.
    ///
    /// # Errors
    /// Those of [`RateSweep::check`], a data set that does not fit the model, or a device failure.
    ///
    /// ```
    /// use cnn_gpu::data::digits;
    /// use cnn_gpu::exec::{self, Backend, Selection};
    /// use cnn_gpu::model::preset;
    /// use cnn_gpu::train::{Options, RateSweep, Trainer};
    /// # let Some(model) = preset("mnist-mlp") else { return Ok(()) };
    /// let device = exec::open(&Selection::new(Backend::Cpu))?;
    /// let mut trainer = Trainer::new(model, &device, Options::default())?;
    /// let before = trainer.state().weights_hash();
    /// let curve = trainer.find_rate(&digits::generate(500, 1, 0), &RateSweep::default())?;
    /// let rate = curve.steepest().unwrap_or(1e-3);
    /// assert!((1e-5..1.0).contains(&rate));
    /// assert_eq!(trainer.state().weights_hash(), before);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn find_rate<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
        sweep: &RateSweep,
    ) -> Result<RateCurve> {
        sweep.check()?;
        let before = self.state.clone();
        let curve = self.sweep(data.into(), sweep);
        // Whatever happened, the trainer is left as it was.
        let restored = self.executor.upload(&before);
        self.state = before;
        let curve = curve?;
        restored?;
        Ok(curve)
    }

    fn sweep(&mut self, data: TrainingData<'_>, sweep: &RateSweep) -> Result<RateCurve> {
        let batches = [Pass::Training, Pass::Inference].map(|pass| self.plan(pass).batch);
        let (feed, _) = self.feeds(data, batches)?;
        let mut source = Resident {
            feed,
            steps: sweep.steps,
        };
        let averages = self.options.optimizer.ema_momentum.is_some();
        self.state.begin_training(averages);
        self.executor.upload(&self.state)?;
        let mut smoothed = Smoothed {
            keep: sweep.smoothing,
            value: 0.0,
            count: 0,
        };
        let (mut points, mut lowest) = (Vec::with_capacity(sweep.steps), f64::INFINITY);
        let mut ending = SweepEnding::Finished;
        for step in 0..sweep.steps {
            let learning_rate = sweep.rate(step);
            let loss = self.loss_at(&mut source, step, learning_rate)?;
            if !loss.is_finite() {
                ending = SweepEnding::NotFinite;
                break;
            }
            let smoothed = smoothed.add(loss);
            points.push(RatePoint {
                learning_rate,
                loss,
                smoothed,
            });
            lowest = lowest.min(smoothed);
            if smoothed > sweep.stop_at * lowest {
                ending = SweepEnding::Diverged;
                break;
            }
        }
        Ok(RateCurve {
            points,
            ending,
            first: sweep.steps / 10,
        })
    }

    /// Takes a step with this learning rate and returns its batch's mean loss.
    fn loss_at(&mut self, source: &mut Resident, step: usize, rate: f32) -> Result<f64> {
        let position = Position {
            epoch: 1,
            epochs: 1,
            step,
            steps: source.steps,
            follows: step > 0,
        };
        let program = self.program(Pass::Training)?;
        let rows = source.rows(&mut *self.executor, &self.options, &position)?;
        let number = self.state.step + step as u64 + 1;
        let optimizer = self.options.optimizer.with_learning_rate(rate);
        self.executor.enqueue(&Step {
            program,
            data: rows.data,
            offset: rows.offset,
            rows: rows.rows,
            rates: optimizer.rates(number),
            key: Key::of_step(self.options.seed, number),
        })?;
        let metrics = self.executor.completed(true)?.pop().unwrap_or_default();
        Ok(f64::from(metrics.loss_sum) / f64::from(metrics.rows.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use crate::exec::null::NullExecutor;
    use crate::model::{Activation, Dense, Flatten, Sequential};
    use crate::train::Options;

    /// The curve of a test in which the batches have these losses.
    fn curve(losses: &[f32], sweep: &RateSweep) -> (RateCurve, Trainer<NullExecutor>) {
        let model = Sequential::new([1, 1, 1])
            .add(Flatten::new())
            .add(Dense::new(2).activation(Activation::Softmax));
        let executor = NullExecutor::new(losses.iter().map(|&loss| (loss, 0.5)));
        let options = Options::default().batch_size(4);
        let mut trainer = Trainer::with_executor(model, Box::new(executor), options).unwrap();
        let data = Dataset::new("d", "here", [1, 1, 1], 2, vec![0; 12], vec![1; 12]).unwrap();
        (trainer.find_rate(&data, sweep).unwrap(), trainer)
    }

    /// Without smoothing.
    fn sweep(steps: usize) -> RateSweep {
        RateSweep {
            smoothing: 0.0,
            ..RateSweep::default().steps(steps)
        }
    }

    #[test]
    fn rates_grow_exponentially_and_every_step_has_its_own() {
        let (curve, trainer) = curve(&[1.0], &sweep(20));
        assert_eq!(
            (curve.points.len(), curve.ending),
            (20, SweepEnding::Finished)
        );
        let rates: Vec<f32> = curve.points.iter().map(|p| p.learning_rate).collect();
        for pair in rates.windows(2) {
            assert!(
                (pair[1] / pair[0] - 1e8_f32.powf(0.05)).abs() < 1e-3,
                "{pair:?}"
            );
        }
        let steps = &trainer.executor().steps;
        assert_eq!(
            steps.iter().map(|s| s.offset).take(4).collect::<Vec<_>>(),
            [0, 4, 8, 0]
        );
        // Each pass over the data has another order.
        assert_eq!(trainer.executor().orders.len(), 7);
        assert_eq!(trainer.state().step, 0);
        // A loss that never falls has no steepest descent.
        assert_eq!(curve.steepest(), None);
    }

    #[test]
    fn the_steepest_descent_and_the_lowest_loss_are_found() {
        let mut losses = vec![2.0; 30];
        for (i, loss) in losses.iter_mut().enumerate() {
            *loss = match i {
                0..12 => 2.0,
                12..16 => 2.0 - 0.1 * (i - 11) as f32,
                16..20 => 1.2 - 0.01 * (i - 16) as f32,
                _ => 1.3,
            };
        }
        let sweep = sweep(30);
        let (curve, _) = curve(&losses, &sweep);
        assert_eq!(curve.steepest(), Some(sweep.rate(15)));
        assert_eq!(curve.lowest(), Some(sweep.rate(19)));
        let (low, high) = curve.losses().into_inner();
        assert!((low - 1.17).abs() < 1e-6 && (high - 2.0).abs() < 1e-6);
        // A tenth of the rate of step 19 lies above.
        assert_eq!(curve.suggested(), Some(sweep.rate(15)));
    }

    #[test]
    fn the_test_ends_when_the_loss_grows_or_is_not_finite() {
        let growing = [&[1.0_f32; 20][..], &[3.9, 4.1, 9.0]].concat();
        let (stopped, _) = curve(&growing, &sweep(50));
        assert_eq!(
            (stopped.points.len(), stopped.ending),
            (22, SweepEnding::Diverged)
        );
        let (stopped, _) = curve(&[1.0, f32::NAN], &sweep(50));
        assert_eq!(
            (stopped.points.len(), stopped.ending),
            (1, SweepEnding::NotFinite)
        );
        assert_eq!((stopped.steepest(), stopped.lowest()), (None, None));
        assert_eq!(stopped.losses(), 0.5..=1.5);
    }

    #[test]
    fn the_smoothed_loss_is_corrected_for_its_start() {
        let (curve, _) = curve(&[2.0, 1.0, 1.0], &RateSweep::default().steps(20));
        let keep = 0.9;
        let second = (keep * 2.0 + 1.0) / (1.0 + keep);
        assert!((curve.points[0].smoothed - 2.0).abs() < 1e-12);
        assert!((curve.points[1].smoothed - second).abs() < 1e-12);
    }

    #[test]
    fn rates_that_do_not_grow_and_too_few_steps_are_refused() {
        for (from, to) in [(0.0, 1.0), (1.0, 1.0), (1e-3, f32::NAN), (-1.0, 1.0)] {
            let message = RateSweep::default().range(from, to).check().unwrap_err();
            assert!(message.to_string().contains("grow"), "{message}");
        }
        assert!(RateSweep::default().steps(19).check().is_err());
    }
}
