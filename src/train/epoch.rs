//! The loop: epochs, and steps within an epoch.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::callbacks::All;
use super::trainer::Pass;
use super::{Callback, Ending, EpochLogs, History, Mean, Progress, Trainer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor, Program, Step};
use crate::rng::{Key, Stream};

/// Finished steps are looked for after this many steps, or after this time if it comes first.
const LOOK_EVERY: (usize, Duration) = (16, Duration::from_millis(100));

/// What stays the same over a call of `fit`.
struct Fit {
    program: Program,
    data: DataId,
    images: usize,
    /// The last epoch's number.
    epochs: usize,
}

/// An epoch under way.
struct Epoch {
    /// Counted from 1.
    number: usize,
    epochs: usize,
    images: usize,
    batch: usize,
    /// Optimizer steps before this epoch.
    steps_before: u64,
    steps: usize,
    enqueued: usize,
    finished: Mean,
    started: Instant,
    looked: Instant,
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Trains for [`Options::epochs`](super::Options::epochs) more epochs.
    ///
    /// # Errors
    /// A data set that does not fit the model, [`Error::NonFiniteLoss`], or a device that failed.
    /// The trainer then holds the weights of the last whole epoch.
    pub fn fit(&mut self, data: &Dataset) -> Result<History> {
        self.fit_with(data, &mut [])
    }

    /// Trains as [`Trainer::fit`], and tells `callbacks`.
    ///
    /// # Errors
    /// As [`Trainer::fit`], and what a callback could not do.
    pub fn fit_with(
        &mut self,
        data: &Dataset,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        let fit = Fit {
            data: self.load(data)?,
            program: self.program(Pass::Training)?,
            images: data.len(),
            epochs: self.epochs_done + self.options.epochs,
        };
        let mut callbacks = All(callbacks);
        callbacks.on_train_begin()?;
        let history = match self.epochs(&fit, &mut callbacks) {
            Ok(history) => history,
            Err(error) => {
                self.go_back();
                return Err(error);
            }
        };
        callbacks.on_train_end(&history, &self.state)?;
        Ok(history)
    }

    fn epochs(&mut self, fit: &Fit, callbacks: &mut All<'_, '_>) -> Result<History> {
        let mut history = History::default();
        while history.ending == Ending::Finished && self.epochs_done < fit.epochs {
            let mut epoch = self.begin(fit)?;
            history.ending = match callbacks.on_epoch_begin(&epoch.progress())? {
                ControlFlow::Continue(()) => self.steps(fit, &mut epoch, callbacks)?,
                ControlFlow::Break(()) => Ending::Stopped,
            };
            self.collect(true, &mut epoch)?;
            let logs = epoch.logs();
            self.executor.download(&mut self.state)?;
            self.state.step += epoch.enqueued as u64;
            if epoch.enqueued < epoch.steps {
                break;
            }
            self.epochs_done += 1;
            let verdict = callbacks.on_epoch_end(&logs, &self.state)?;
            history.epochs.push(logs);
            if verdict.is_break() && history.ending == Ending::Finished {
                history.ending = Ending::Stopped;
            }
        }
        Ok(history)
    }

    fn begin(&mut self, fit: &Fit) -> Result<Epoch> {
        let started = Instant::now();
        let number = self.epochs_done + 1;
        let order = if self.options.shuffle {
            let key = Key::new(self.options.seed).stream(Stream::Shuffle, number as u32);
            key.permutation(fit.images)
        } else {
            (0..fit.images as u32).collect()
        };
        self.executor.order(fit.data, &order)?;
        let batch = self.plan(Pass::Training).batch;
        Ok(Epoch {
            number,
            epochs: fit.epochs,
            images: fit.images,
            batch,
            steps_before: self.state.step,
            steps: fit.images.div_ceil(batch),
            enqueued: 0,
            finished: Mean::default(),
            started,
            looked: started,
        })
    }

    fn steps(
        &mut self,
        fit: &Fit,
        epoch: &mut Epoch,
        callbacks: &mut All<'_, '_>,
    ) -> Result<Ending> {
        while epoch.enqueued < epoch.steps {
            if self.interrupt.is_raised() {
                return Ok(Ending::Interrupted);
            }
            let rate = self.options.optimizer.rate(epoch.next_step());
            let key = Key::of_step(self.options.seed, epoch.next_step());
            self.executor.enqueue(&epoch.step(fit, rate, key))?;
            epoch.enqueued += 1;
            if epoch.wants_a_look() {
                self.collect(false, epoch)?;
                if callbacks.on_batch_end(&epoch.progress())?.is_break() {
                    return Ok(Ending::Stopped);
                }
            }
        }
        Ok(Ending::Finished)
    }

    /// Takes in the metrics of steps that have finished.
    fn collect(&mut self, wait: bool, epoch: &mut Epoch) -> Result<()> {
        for metrics in self.executor.completed(wait)? {
            epoch.finished.add(&metrics);
            if !metrics.loss_sum.is_finite() {
                return Err(Error::NonFiniteLoss {
                    loss: metrics.loss_sum / metrics.rows.max(1) as f32,
                    step: epoch.steps_before + epoch.finished.steps as u64,
                    epoch: epoch.number,
                    learning_rate: self.options.optimizer.learning_rate(),
                });
            }
        }
        epoch.looked = Instant::now();
        Ok(())
    }

    /// After an error: back to the last whole epoch, if the device still answers.
    fn go_back(&mut self) {
        // The error that led here is the one to report.
        let _ = self.executor.completed(true);
        let _ = self.executor.upload(&self.state);
    }
}

impl Epoch {
    /// The step to enqueue next, counted from 1 over the whole run.
    fn next_step(&self) -> u64 {
        self.steps_before + self.enqueued as u64 + 1
    }

    fn step(&self, fit: &Fit, rate: f32, key: Key) -> Step {
        let offset = self.enqueued * self.batch;
        Step {
            program: fit.program,
            data: fit.data,
            offset,
            rows: self.batch.min(self.images - offset),
            rate,
            key,
        }
    }

    fn wants_a_look(&self) -> bool {
        let (steps, time) = LOOK_EVERY;
        self.enqueued.is_multiple_of(steps) || self.looked.elapsed() >= time
    }

    fn progress(&self) -> Progress {
        Progress {
            epoch: self.number,
            epochs: self.epochs,
            step: self.finished.steps,
            steps: self.steps,
            images: self.finished.rows,
            loss: self.finished.loss(),
            accuracy: self.finished.accuracy(),
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }

    fn logs(&self) -> EpochLogs {
        let seconds = (self.looked - self.started).as_secs_f64();
        EpochLogs {
            epoch: self.number,
            loss: self.finished.loss(),
            accuracy: self.finished.accuracy(),
            seconds,
            images_per_second: self.finished.rows as f64 / seconds.max(f64::MIN_POSITIVE),
        }
    }
}
