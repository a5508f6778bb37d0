//! TrainSettings that would change nothing in this run. Each gets a line, as nobody types what is to do
//! nothing.

use cnn_gpu::Result;
use std::sync::Arc;

use cnn_gpu::data::Dataset;
use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{EarlyStopping, ReduceLROnPlateau, Schedule};
use cnn_gpu::train::{Callback, EpochLogs, Position, Training};
use cnn_gpu::words::{counted, short};

use super::args::TrainSettings;
use crate::cli::output::say;

/// Runs with more epochs are not played through.
const MOST_EPOCHS: usize = 10_000;

/// Says which settings do nothing when training begins, as how long the run is is known then.
pub struct NoEffect<'a> {
    pub settings: &'a TrainSettings,
    pub data: &'a Dataset,
}

impl Callback for NoEffect<'_> {
    fn name(&self) -> &'static str {
        "NoEffect"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        // Of a run that has come to its end nothing would do anything.
        if (training.initial_epoch + 1..=training.epochs).is_empty() {
            return Ok(());
        }
        for line in self.lines(training)? {
            say(&format!("note: {line}"));
        }
        Ok(())
    }
}

impl NoEffect<'_> {
    fn lines(&self, training: &Training) -> Result<Vec<String>> {
        let mut lines = self.settings.without_effect.clone();
        lines.extend(self.validation(training));
        lines.extend(self.weights());
        let steps = self.settings.schedule.steps;
        if let Some(steps) = steps.filter(|steps| *steps >= training.steps) {
            lines.push(format!(
                "--checkpoint-steps {steps} takes no checkpoint, as an epoch has {}; there is one after each \
                 epoch",
                counted(training.steps, "step")
            ));
        }
        if training.epochs - training.initial_epoch <= MOST_EPOCHS {
            lines.extend(self.callbacks(training)?);
        }
        Ok(lines)
    }

    fn validation(&self, training: &Training) -> Vec<String> {
        let (settings, options) = (self.settings, &self.settings.options);
        let (split, freq) = (options.validation_split, options.validation_freq);
        let mut lines = Vec::new();
        if settings.validation_data.is_some() && split > 0.0 {
            lines.push(format!(
                "--validation-split {} keeps no images apart, as --validation-data takes its place",
                short(split)
            ));
        }
        if !training.validation {
            let flags = [
                ("--validation-freq", freq > 1),
                ("--validation-steps", options.validation_steps.is_some()),
            ];
            let without_effect = flags.iter().filter(|(_, is_set)| *is_set);
            lines.extend(without_effect.map(|(flag, _)| {
                format!(
                    "{flag} does nothing without images to validate on: give --validation-split SHARE \
                     or --validation-data"
                )
            }));
        } else if self.measured(training).next().is_none() {
            lines.push(format!(
                "--validation-freq {freq} never validates, as the run ends with epoch {}",
                training.epochs
            ));
        }
        lines
    }

    fn weights(&self) -> Vec<String> {
        let options = &self.settings.options;
        let named = options.class_weight.keys();
        let absent = named.filter(|class| {
            !self
                .data
                .labels()
                .iter()
                .any(|l| usize::from(*l) == **class)
        });
        let mut lines: Vec<String> = absent
            .map(|class| {
                let name = self.data.class_name(*class);
                format!(
                    "--class-weight does nothing for class {name}: no image to train on is of it"
                )
            })
            .collect();
        let stopping = self.settings.callbacks.early_stopping.as_ref();
        if options.optimizer.ema_momentum.is_some() && stopping.is_some_and(EarlyStopping::restores)
        {
            lines.push(
                "--use-ema does nothing beside --restore-best-weights: the run ends with the weights of \
                 its best epoch, not with their average"
                    .into(),
            );
        }
        lines
    }

    fn callbacks(&self, training: &Training) -> Result<Vec<String>> {
        let callbacks = &self.settings.callbacks;
        let mut lines = Vec::new();
        if let Some(stopping) = &callbacks.early_stopping {
            lines.extend(self.stopping(stopping, training)?);
        }
        if let Some(reduce) = &callbacks.reduce_lr_on_plateau {
            lines.extend(self.plateau(reduce, training)?);
        }
        let best = callbacks
            .checkpoint_best
            .filter(|metric| metric.needs_validation());
        if best.is_some() && self.measured(training).next().is_none() {
            lines.push("--checkpoint-best writes nothing, as no epoch is validated".into());
        }
        if let Some(schedule) = &callbacks.learning_rate_schedule {
            lines.extend(self.schedule(schedule, training));
        }
        Ok(lines)
    }

    /// The epochs that are validated.
    fn measured(&self, training: &Training) -> impl Iterator<Item = usize> + use<> {
        let freq = if training.validation {
            self.settings.options.validation_freq
        } else {
            0
        };
        let last = training.epochs;
        (training.initial_epoch + 1..=last).filter(move |e| freq > 0 && e.is_multiple_of(freq))
    }

    /// What the epochs report if nothing ever changes.
    fn flat(&self, training: &Training, loss: f64, accuracy: f64) -> Vec<EpochLogs> {
        let validated: Vec<usize> = self.measured(training).collect();
        (training.initial_epoch + 1..=training.epochs)
            .map(|epoch| {
                let validates = validated.binary_search(&epoch).is_ok();
                let mut logs = EpochLogs::default();
                logs.epoch = epoch;
                logs.loss = loss;
                logs.accuracy = accuracy;
                logs.val_loss = validates.then_some(loss);
                logs.val_accuracy = validates.then_some(accuracy);
                logs
            })
            .collect()
    }

    /// Early stopping, played through with the metrics that stop it first: those that never change, and
    /// are worse than any baseline.
    fn stopping(&self, stopping: &EarlyStopping, training: &Training) -> Result<Option<String>> {
        let (mut watches, mut stops) = (false, false);
        for (loss, accuracy) in [(1.0, 0.5), (f64::MAX, -1.0)] {
            let mut played = stopping.clone();
            played.on_train_begin(training)?;
            for logs in self.flat(training, loss, accuracy) {
                if played.on_epoch_end(&logs, &no_state())?.is_break() {
                    stops |= logs.epoch < training.epochs;
                    break;
                }
            }
            watches |= played.best_epoch().is_some();
        }
        let last = training.epochs;
        Ok(if !watches {
            Some(format!(
                "--early-stopping never watches an epoch, as the run ends with epoch {last}: lower \
                 --start-from-epoch or --validation-freq, or raise --epochs"
            ))
        } else if !stops && !stopping.restores() {
            Some(format!(
                "--early-stopping is too patient to stop before the run ends with epoch {last}"
            ))
        } else {
            None
        })
    }

    fn plateau(&self, reduce: &ReduceLROnPlateau, training: &Training) -> Result<Option<String>> {
        let mut played = reduce.clone();
        let rate = self.settings.options.optimizer.learning_rate();
        played.on_train_begin(training)?;
        for mut logs in self.flat(training, 1.0, 0.5) {
            let at = position(training, logs.epoch, 0);
            logs.learning_rate = played.learning_rate(&at, rate)?;
            if logs.learning_rate != rate {
                return Ok(None);
            }
            let _ = played.on_epoch_end(&logs, &no_state())?;
        }
        Ok(Some(format!(
            "--reduce-lr-on-plateau never reduces the learning rate, {}, before the run ends with epoch {}: \
             lower its N or --min-lr, or raise --epochs",
            short(rate),
            training.epochs
        )))
    }

    fn schedule(&self, schedule: &Schedule, training: &Training) -> Option<String> {
        if *schedule == Schedule::Constant {
            return None;
        }
        let rate = f64::from(self.settings.options.optimizer.learning_rate());
        let ends = [0, training.steps - 1];
        let factors: Vec<f64> = (training.initial_epoch + 1..=training.epochs)
            .flat_map(|epoch| ends.map(|step| schedule.factor(&position(training, epoch, step))))
            .collect();
        let (first, last) = (*factors.first()?, *factors.last()?);
        let shown = |factor: f64| short((rate * factor) as f32);
        if factors.iter().all(|factor| *factor == first) {
            return Some(format!(
                "--lr-schedule {schedule} keeps the learning rate at {} in a run that ends with epoch {}",
                shown(first),
                training.epochs
            ));
        }
        factors.iter().all(|factor| *factor <= last).then(|| {
            format!(
                "--lr-schedule {schedule} never comes down: the learning rate rises from {} to {}",
                shown(first),
                shown(last)
            )
        })
    }
}

/// Callbacks that are only played through keep no weights.
fn no_state() -> State {
    State::new(Arc::default(), 0)
}

fn position(training: &Training, epoch: usize, step: usize) -> Position {
    let mut position = Position::default();
    position.epoch = epoch;
    position.epochs = training.epochs;
    position.step = step;
    position.steps = training.steps;
    position.follows = true;
    position
}
