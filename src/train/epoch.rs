//! The training loop: epochs, and the steps of an epoch.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::callbacks::{All, ProgbarLogger, callback_states, restore};
use super::feed::Validation;
use super::source::{Resident, Rows, Source};
use super::trainer::Pass;
use super::training_batch::TrainingBatch;
use super::{
    Callback, Ending, EpochLogs, History, Mean, PartialEpoch, Position, Progress, Snapshot,
    Trainer, Training, TrainingData,
};
use crate::error::{Error, Result};
use crate::exec::Executor;
use crate::rng::Key;
use crate::state::{Parameter, State};

/// Polls for finished steps after this many steps or this much time, whichever comes first.
const LOOK_EVERY: (usize, Duration) = (16, Duration::from_millis(100));

/// What stays constant during one call of `fit`.
pub(super) struct Fit<'a, E: ?Sized> {
    pub(super) source: &'a mut dyn Source<E>,
    validation: Option<Validation<'a>>,
    /// The last epoch's number.
    epochs: usize,
}

/// An unfinished epoch.
pub(super) struct Epoch {
    /// Counted from 1.
    number: usize,
    epochs: usize,
    /// Optimizer steps before this epoch.
    pub(super) steps_before: u64,
    steps: usize,
    enqueued: usize,
    /// The learning rate of the last enqueued step.
    learning_rate: f32,
    /// Whether this process has taken a step in this epoch.
    follows: bool,
    finished: Mean,
    started: Instant,
    looked: Instant,
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Trains for [`Options::epochs`](super::Options::epochs) more epochs, or up to that epoch if
    /// [`Options::initial_epoch`](super::Options::initial_epoch) is set. `data` is `&train`, or
    /// `(&train, &validation)` with a second data set or a generator; see [`TrainingData`].
    ///
    /// # Errors
    /// A data set that does not fit the model, a validation split that leaves no images,
    /// [`Error::NonFiniteLoss`], [`Error::NonFiniteWeights`], or a device failure. The trainer then
    /// holds the weights of the last complete epoch.
    pub fn fit<'a>(&mut self, data: impl Into<TrainingData<'a>>) -> Result<History> {
        self.fit_with(data, &mut [])
    }

    /// Like [`Trainer::fit`], with callbacks.
    ///
    /// # Errors
    /// Those of [`Trainer::fit`] and of the callbacks.
    pub fn fit_with<'a>(
        &mut self,
        data: impl Into<TrainingData<'a>>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        let batches = [self.options.batch_size, self.plan(Pass::Inference).batch];
        let data = data.into();
        let steps = self.steps_per_epoch(&data)?;
        let (feed, validation) = self.feeds(data, batches)?;
        self.fit_source(&mut Resident { feed, steps }, validation, callbacks)
    }

    /// Trains on the rows that `source` supplies.
    pub(super) fn fit_source(
        &mut self,
        source: &mut dyn Source<E>,
        validation: Option<Validation<'_>>,
        callbacks: &mut [&mut dyn Callback],
    ) -> Result<History> {
        let resumed = self.resumed.take();
        let averages = self.options.optimizer.ema_momentum.is_some();
        self.state.begin_training(averages);
        self.executor.upload(&self.state)?;
        for pass in [Pass::Training, Pass::Update] {
            self.program(pass)?;
        }
        let mut fit = Fit {
            source,
            validation,
            epochs: self.last_epoch(resumed.as_ref()),
        };
        let mut progress = ProgbarLogger::new(self.options.verbose);
        let mut callbacks: Vec<&mut dyn Callback> =
            callbacks.iter_mut().map(|c| &mut **c as _).collect();
        // The last callback, so that it reports what the others have already done.
        callbacks.push(&mut progress);
        if let Some(snapshot) = &resumed {
            restore(&mut callbacks, &snapshot.callback_states)?;
        }
        let mut callbacks = All(&mut callbacks);
        callbacks.on_train_begin(&Training {
            initial_epoch: self.epochs_done,
            epochs: fit.epochs,
            steps: fit.source.steps(),
            validation: fit.validation.is_some(),
        })?;
        let (mut history, partial_epoch) = match resumed {
            Some(snapshot) => (snapshot.past(), snapshot.partial_epoch),
            None => (History::default(), None),
        };
        let trained = self.epochs(&mut fit, partial_epoch, &mut callbacks, &mut history);
        self.end(trained, &mut callbacks, &mut history)?;
        Ok(history)
    }

    /// The number of the last epoch of a call of `fit`.
    pub(super) fn last_epoch(&mut self, resumed: Option<&Snapshot>) -> usize {
        match (resumed, self.options.initial_epoch) {
            (Some(snapshot), _) => snapshot.last_epoch,
            (None, Some(epoch)) => {
                self.epochs_done = epoch;
                self.options.epochs
            }
            (None, None) => self.epochs_done + self.options.epochs,
        }
    }

    /// Cleans up after training, whether it succeeded or failed.
    fn end(
        &mut self,
        trained: Result<()>,
        callbacks: &mut All<'_, '_>,
        history: &mut History,
    ) -> Result<()> {
        if let Err(error) = trained {
            self.go_back();
            if !callbacks.ends_quietly(&error) {
                history.ending = Ending::Failed;
                // The first error is the one to report.
                let _ = self.restore(callbacks, history);
                let _ = callbacks.on_train_end(history, &self.state);
                return Err(error);
            }
            history.ending = Ending::Stopped;
        }
        if history.ending == Ending::Stopped {
            history.reason = callbacks.reason();
        }
        self.restore(callbacks, history)?;
        callbacks.on_train_end(history, &self.state)
    }

    /// Installs the run's final weights: those that a callback asks for; otherwise, after a
    /// completed run, the moving average if the optimizer keeps one. An interrupted run keeps its
    /// weights.
    fn restore(&mut self, callbacks: &All<'_, '_>, history: &mut History) -> Result<()> {
        if let Some((epoch, params)) = callbacks.final_weights() {
            if params.len() != self.state.params.len() {
                return Err(Error::Argument(format!(
                    "a callback wants to end with {} parameters: expected {}, as State::params",
                    params.len(),
                    self.state.params.len()
                )));
            }
            self.state.params.copy_from_slice(params);
            history.restored_epoch = Some(epoch);
        } else if self.options.optimizer.ema_momentum.is_some()
            && matches!(history.ending, Ending::Finished | Ending::Stopped)
        {
            self.state.take_average();
        } else {
            return Ok(());
        }
        self.executor.upload(&self.state)
    }

    fn epochs(
        &mut self,
        fit: &mut Fit<'_, E>,
        mut partial_epoch: Option<PartialEpoch>,
        callbacks: &mut All<'_, '_>,
        history: &mut History,
    ) -> Result<()> {
        while history.ending == Ending::Finished && self.epochs_done < fit.epochs {
            let mut epoch = self.begin(fit, partial_epoch.take().unwrap_or_default());
            history.ending = match callbacks.on_epoch_begin(&epoch.progress())? {
                ControlFlow::Continue(()) => {
                    let taken = self.steps(fit, &mut epoch, callbacks, history);
                    taken.map_err(|error| self.locate(error, fit, &epoch, callbacks))?
                }
                ControlFlow::Break(()) => Ending::Stopped,
            };
            let mut logs = epoch.logs();
            self.state = self.downloaded(&epoch)?;
            if history.ending == Ending::Interrupted && epoch.enqueued < epoch.steps {
                self.keep(fit, self.state.clone(), Some(&epoch), callbacks, history)?;
                break;
            }
            // As in Keras, an epoch that a callback ends after any of its steps counts, but not one without steps.
            if history.ending == Ending::Stopped && !epoch.follows {
                break;
            }
            self.compare_weights()?;
            self.epochs_done += 1;
            self.validate(fit, &mut logs)?;
            let verdict = callbacks.on_epoch_end(&logs, &self.state)?;
            history.epochs.push(logs);
            if verdict.is_break() && history.ending == Ending::Finished {
                history.ending = Ending::Stopped;
            }
            self.keep(fit, self.state.clone(), None, callbacks, history)?;
        }
        Ok(())
    }

    /// Waits for the enqueued steps and fetches the state after them. If that fails, or if the
    /// state is not finite, the previous state is kept.
    fn downloaded(&mut self, epoch: &Epoch) -> Result<State> {
        let mut state = self.state.clone();
        self.executor.download(&mut state)?;
        state.step = epoch.steps_before + epoch.enqueued as u64;
        let is_finite = |p: &&Parameter| state.params[p.range()].iter().all(|w| w.is_finite());
        match state.layout.parameters.iter().find(|p| !is_finite(p)) {
            None => Ok(state),
            Some(parameter) => Err(Error::NonFiniteWeights {
                parameter: parameter.name.clone(),
                step: state.step,
                epoch: epoch.number,
                learning_rate: epoch.learning_rate,
            }),
        }
    }

    /// Passes a snapshot of `state` to the keeper, if there is one.
    fn keep(
        &mut self,
        fit: &Fit<'_, E>,
        state: State,
        epoch: Option<&Epoch>,
        callbacks: &All<'_, '_>,
        history: &History,
    ) -> Result<()> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        keeper.keep(&Snapshot {
            state,
            epochs_done: self.epochs_done,
            partial_epoch: epoch.map(Epoch::partial_epoch),
            last_epoch: fit.epochs,
            stopped: history.ending == Ending::Stopped,
            history: history.epochs.clone(),
            callback_states: callback_states(callbacks.0),
        })
    }

    /// Takes a snapshot within an epoch, if one is due.
    fn keep_if_due(
        &mut self,
        fit: &Fit<'_, E>,
        epoch: &mut Epoch,
        callbacks: &All<'_, '_>,
        history: &History,
    ) -> Result<()> {
        let position = epoch.position();
        let keeper = self.keeper.as_mut();
        if epoch.enqueued == epoch.steps || !keeper.is_some_and(|k| k.is_due(&position)) {
            return Ok(());
        }
        self.collect(true, epoch)?;
        // After an error, training returns to the last complete epoch, which stays in `self`.
        match self.downloaded(epoch) {
            // The next loss locates the cause.
            Err(Error::NonFiniteWeights { .. }) => Ok(()),
            state => self.keep(fit, state?, Some(epoch), callbacks, history),
        }
    }

    fn begin(&self, fit: &Fit<'_, E>, partial_epoch: PartialEpoch) -> Epoch {
        let now = Instant::now();
        let before = Duration::try_from_secs_f64(partial_epoch.seconds).unwrap_or_default();
        let started = now.checked_sub(before).unwrap_or(now);
        Epoch {
            number: self.epochs_done + 1,
            epochs: fit.epochs,
            steps_before: self.state.step - partial_epoch.steps as u64,
            steps: fit.source.steps(),
            enqueued: partial_epoch.steps,
            learning_rate: self.options.optimizer.learning_rate(),
            follows: false,
            finished: partial_epoch.mean,
            started,
            looked: now,
        }
    }

    fn steps(
        &mut self,
        fit: &mut Fit<'_, E>,
        epoch: &mut Epoch,
        callbacks: &mut All<'_, '_>,
        history: &History,
    ) -> Result<Ending> {
        while epoch.enqueued < epoch.steps {
            if self.is_interrupted() || !self.step(fit, epoch, callbacks)? {
                self.collect(true, epoch)?;
                return Ok(Ending::Interrupted);
            }
            if self.ranks.is_some() {
                // So that a loss that is not finite ends all ranks after the same step, whichever of them writes
                // checkpoints.
                self.collect(true, epoch)?;
            }
            self.keep_if_due(fit, epoch, callbacks, history)?;
            // On several ranks, whose clocks differ, all look after the same steps.
            let waits = callbacks.watches_batches();
            if waits || epoch.wants_a_look(self.ranks.is_none()) {
                self.collect(waits, epoch)?;
                if callbacks.on_batch_end(&epoch.progress())?.is_break() {
                    self.collect(true, epoch)?;
                    return Ok(Ending::Stopped);
                }
            }
        }
        self.collect(true, epoch)?;
        Ok(Ending::Finished)
    }

    /// Enqueues the next step; false if it has no rows because of an interrupt.
    fn step(
        &mut self,
        fit: &mut Fit<'_, E>,
        epoch: &mut Epoch,
        callbacks: &mut All<'_, '_>,
    ) -> Result<bool> {
        let position = epoch.position();
        let made = self.make_batch(fit, epoch.steps_before, &position, callbacks)?;
        let Some((batch, rate)) = made else {
            return Ok(false);
        };
        self.enqueue_batch(&batch)?;
        epoch.learning_rate = rate;
        epoch.enqueued += 1;
        epoch.follows = true;
        Ok(true)
    }

    /// What the step at `position` trains on, and its learning rate; none if a generator gave up because of an
    /// interrupt.
    pub(super) fn make_batch(
        &mut self,
        fit: &mut Fit<'_, E>,
        steps_before: u64,
        position: &Position,
        callbacks: &mut All<'_, '_>,
    ) -> Result<Option<(TrainingBatch, f32)>> {
        let source = &mut fit.source;
        let rows = source.rows(&mut self.executor, &self.options, position);
        let Rows { data, offset, rows } = match rows {
            // On several ranks, the others would wait for this one.
            Err(_) if self.interrupt.is_raised() && self.ranks.is_none() => return Ok(None),
            rows => rows?,
        };
        let optimizer = self.options.optimizer;
        let rate = callbacks.learning_rate(position, optimizer.learning_rate())?;
        let optimizer = optimizer.with_learning_rate(rate);
        let number = steps_before + position.step as u64 + 1;
        let batch = TrainingBatch {
            data,
            offset,
            rows,
            rates: optimizer.rates(number),
            key: Key::of_step(self.options.seed, number),
        };
        Ok(Some((batch, rate)))
    }

    /// Collects the metrics of finished steps.
    fn collect(&mut self, wait: bool, epoch: &mut Epoch) -> Result<()> {
        for metrics in self.completed_batches(wait)? {
            epoch.finished.add(&metrics);
            if !metrics.loss_sum.is_finite() {
                return Err(Error::NonFiniteLoss {
                    loss: metrics.loss_sum / metrics.rows.max(1) as f32,
                    step: epoch.steps_before + epoch.finished.steps as u64,
                    epoch: epoch.number,
                    learning_rate: epoch.learning_rate,
                    origin: None,
                });
            }
        }
        epoch.looked = Instant::now();
        Ok(())
    }

    /// Evaluates on the validation data if this epoch is due. An interrupt aborts the evaluation,
    /// which then has no result.
    fn validate(&mut self, fit: &Fit<'_, E>, logs: &mut EpochLogs) -> Result<()> {
        let Some(validation) = &fit.validation else {
            return Ok(());
        };
        if logs.epoch.is_multiple_of(self.options.validation_freq) {
            let interrupt = self.interrupt.clone();
            let agreed = self.ranks.as_ref().map(|ranks| ranks.stops);
            let stop = || interrupt.is_raised() || agreed == Some(true);
            let mean = match validation {
                Validation::Resident(feed) => self.measure(feed, stop),
                Validation::Generated(generator, steps) => {
                    // Each rank evaluates all of it, and all must have a result or none.
                    let stop = || agreed.unwrap_or_else(|| interrupt.is_raised());
                    self.measure_generator(*generator, *steps, stop)
                }
            }?;
            if let Some(ranks) = self.ranks.as_mut().filter(|_| mean.is_none()) {
                // Some rank's interrupt, which all learn of here.
                ranks.stops = true;
            }
            logs.val_loss = mean.map(|m| m.loss());
            logs.val_accuracy = mean.map(|m| m.accuracy());
        }
        Ok(())
    }

    /// Returns to the last complete epoch after an error, if the device still responds.
    fn go_back(&mut self) {
        // The error that led here is the one to report.
        let _ = self.forget_batches();
        let _ = self.executor.upload(&self.state);
    }
}

impl Epoch {
    pub(super) fn position(&self) -> Position {
        Position {
            epoch: self.number,
            epochs: self.epochs,
            step: self.enqueued,
            steps: self.steps,
            follows: self.follows,
        }
    }

    fn partial_epoch(&self) -> PartialEpoch {
        PartialEpoch {
            steps: self.enqueued,
            mean: self.finished,
            seconds: self.started.elapsed().as_secs_f64(),
        }
    }

    fn wants_a_look(&self, in_time: bool) -> bool {
        let (steps, time) = LOOK_EVERY;
        self.enqueued.is_multiple_of(steps) || in_time && self.looked.elapsed() >= time
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
            val_loss: None,
            val_accuracy: None,
            learning_rate: self.learning_rate,
            seconds,
            images_per_second: self.finished.rows as f64 / seconds.max(f64::MIN_POSITIVE),
        }
    }
}
