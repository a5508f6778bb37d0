//! The learning-rate range test.

mod curve;
mod sweep;

pub use curve::{RateCurve, RatePoint, SweepEnding};
pub use sweep::RateSweep;

use super::source::{Resident, Source as _};
use super::trainer::Pass;
use super::training_batch::TrainingBatch;
use super::{Position, Trainer, TrainingData};
use crate::error::Result;
use crate::exec::Executor;
use crate::rng::Key;

/// A moving average, corrected for its start as in Adam.
struct Smoothed {
    keep: f64,
    value: f64,
    count: i32,
}

impl Smoothed {
    fn new(keep: f64) -> Self {
        Self {
            keep,
            value: 0.0,
            count: 0,
        }
    }

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
        let _ = self.forget_batches();
        let restored = self.executor.upload(&before);
        self.state = before;
        let curve = curve?;
        restored?;
        Ok(curve)
    }

    fn sweep(&mut self, data: TrainingData<'_>, sweep: &RateSweep) -> Result<RateCurve> {
        let batches = [self.options.batch_size, self.plan(Pass::Inference).batch];
        let (feed, _) = self.feeds(data, batches)?;
        let mut source = Resident {
            feed,
            steps: sweep.steps,
        };
        let averages = self.options.optimizer.ema_momentum.is_some();
        self.state.begin_training(averages);
        self.executor.upload(&self.state)?;
        let mut smoothed = Smoothed::new(sweep.smoothing);
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
        Ok(RateCurve::new(points, ending, sweep.steps))
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
        let rows = source.rows(&mut *self.executor, &self.options, &position)?;
        let number = self.state.step + step as u64 + 1;
        let optimizer = self.options.optimizer.with_learning_rate(rate);
        self.enqueue_batch(&TrainingBatch {
            data: rows.data,
            offset: rows.offset,
            rows: rows.rows,
            rates: optimizer.rates(number),
            key: Key::of_step(self.options.seed, number),
        })?;
        let metrics = self.completed_batches(true)?.pop().unwrap_or_default();
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
        // Of the falls over four steps, that from step 12 to 16.
        assert_eq!(curve.steepest(), Some(sweep.rate(14)));
        assert_eq!(curve.lowest(), Some(sweep.rate(19)));
        let (low, high) = curve.losses().into_inner();
        assert!((low - 1.17).abs() < 1e-6 && (high - 2.0).abs() < 1e-6);
        // A tenth of the rate of step 19 lies above.
        assert_eq!(curve.suggested(), Some(sweep.rate(14)));
    }

    #[test]
    fn nothing_is_suggested_from_noise_or_beyond_the_rates_that_were_tried() {
        // Batches that differ, and a network that learns nothing.
        let noisy: Vec<f32> = (0..100)
            .map(|i| 2.3 + 0.1 * (i as f32 * 2.7).sin())
            .collect();
        let (learned_nothing, _) = curve(&noisy, &RateSweep::default());
        assert!(learned_nothing.lowest().is_some() && !learned_nothing.falls());
        assert_eq!(
            (learned_nothing.steepest(), learned_nothing.suggested()),
            (None, None)
        );
        // The same batches, and a network that learns from the middle on.
        let falling: Vec<f32> = noisy
            .iter()
            .zip(0..)
            .map(|(loss, i)| match i {
                50.. => loss - 0.03 * (i - 50) as f32,
                _ => *loss,
            })
            .collect();
        let (learned, _) = curve(&falling, &RateSweep::default());
        assert!(
            learned.suggested().is_some_and(|rate| rate > 1e-3),
            "{learned:?}"
        );
        // The lowest loss is near the smallest rate, and a tenth of it was not tried.
        let losses = [vec![2.0; 4], vec![1.5], vec![1.0; 25]].concat();
        let (narrow, _) = curve(&losses, &sweep(30).range(0.1, 0.2));
        assert!(narrow.falls() && narrow.steepest().is_some());
        assert_eq!(narrow.suggested(), None);
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
}
