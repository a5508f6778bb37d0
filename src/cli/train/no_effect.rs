//! Notes on settings that have no effect in this run: a flag without effect is probably a mistake.

use cnn_gpu::Result;
use std::sync::Arc;

use cnn_gpu::state::State;
use cnn_gpu::train::callbacks::{EarlyStopping, ReduceLROnPlateau, Schedule};
use cnn_gpu::train::{Callback, EpochLogs, Position, Training, TrainingData};
use cnn_gpu::words::{counted, short};

use super::args::TrainSettings;
use crate::cli::output::say;

/// Callbacks of longer runs are not simulated.
const MAX_EPOCHS: usize = 10_000;

/// Prints the notes when training begins, as the length of the run is known only then.
pub struct NoEffect<'a> {
    pub settings: &'a TrainSettings,
    pub data: TrainingData<'a>,
}

impl Callback for NoEffect<'_> {
    fn name(&self) -> &'static str {
        "NoEffect"
    }

    fn on_train_begin(&mut self, training: &Training) -> Result<()> {
        // In a finished run nothing has an effect.
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
        let run = training.epochs.saturating_mul(training.steps);
        let overwrites = self.settings.options.optimizer.ema_overwrite_frequency;
        // After its last step a run takes the average anyway. The steps that an imported optimizer has
        // taken count, so that it may act in any run.
        let acts =
            overwrites.is_some_and(|steps| steps < run as u64 || self.settings.continues.is_some());
        lines.extend(self.weights(acts));
        if let Some(steps) = overwrites.filter(|_| !acts) {
            lines.push(format!(
                "--ema-overwrite-frequency {steps} has no effect, as the run has only {}",
                counted(run, "step")
            ));
        }
        let steps = self.settings.schedule.steps;
        if let Some(steps) = steps.filter(|steps| *steps >= training.steps) {
            lines.push(format!(
                "--checkpoint-steps {steps} has no effect, as an epoch has only {} and ends with a checkpoint \
                 anyway",
                counted(training.steps, "step")
            ));
        }
        if training.epochs - training.initial_epoch <= MAX_EPOCHS {
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
                "--validation-split {} has no effect, as --validation-data replaces it",
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
                    "{flag} has no effect without validation images: add --validation-split SHARE or \
                     --validation-data"
                )
            }));
        } else if self.measured(training).next().is_none() {
            lines.push(format!(
                "--validation-freq {freq} never validates, as the run ends after epoch {}",
                training.epochs
            ));
        } else if let Some(steps) = options.validation_steps {
            let images = self.data.validation_images(split);
            let all = images.div_ceil(options.batch_size);
            if steps > all {
                lines.push(format!(
                    "--validation-steps {steps} leaves out nothing, as the validation images fill {}",
                    counted(all, "batch")
                ));
            }
        }
        lines
    }

    /// Notes on settings of the weights, whose average replaces them within the run or not.
    fn weights(&self, overwrites: bool) -> Vec<String> {
        let options = &self.settings.options;
        let named = options.class_weight.keys();
        let absent = named.filter(|class| {
            !self
                .data
                .training
                .labels()
                .iter()
                .any(|l| usize::from(*l) == **class)
        });
        let mut lines: Vec<String> = absent
            .map(|class| {
                let name = self.data.training.class_name(*class);
                format!(
                    "--class-weight has no effect on class {name}, which has no training images"
                )
            })
            .collect();
        let weights = &options.class_weight;
        if !weights.is_empty() && weights.values().all(|weight| *weight == 1.0) {
            lines.push("--class-weight has no effect, as all weights are 1, the default".into());
        }
        let mixes = [
            ("--mixup", options.mixup.is_some()),
            ("--cutmix", options.cutmix.is_some()),
        ];
        let mixes = mixes.iter().filter(|(_, mixes)| {
            *mixes && (options.batch_size == 1 || options.micro_batch == Some(1))
        });
        let (size, of) = match options.micro_batch {
            Some(1) => ("--micro-batch 1", "a micro-batch"),
            _ => ("--batch-size 1", "a step"),
        };
        lines.extend(mixes.map(|(flag, _)| {
            format!("{flag} has no effect with {size}, as it mixes the images of {of}")
        }));
        if let Some(rows) = options
            .micro_batch
            .filter(|rows| *rows >= options.batch_size)
        {
            lines.push(format!(
                "--micro-batch {rows} does not cut batches of {}",
                counted(options.batch_size, "image")
            ));
        }
        let stopping = self.settings.callbacks.early_stopping.as_ref();
        if options.optimizer.ema_momentum.is_some()
            && !overwrites
            && stopping.is_some_and(EarlyStopping::restores)
        {
            lines.push(
                "--use-ema has no effect with --restore-best-weights: the run ends with the weights of \
                 its best epoch, not with the average"
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

    /// The epochs after which the run validates.
    fn measured(&self, training: &Training) -> impl Iterator<Item = usize> + use<> {
        let freq = if training.validation {
            self.settings.options.validation_freq
        } else {
            0
        };
        let last = training.epochs;
        (training.initial_epoch + 1..=last).filter(move |e| freq > 0 && e.is_multiple_of(freq))
    }

    /// The logs of a run whose metrics never change.
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
    /// Simulates early stopping with the metrics that trigger it first: constant ones, and ones
    /// worse than any baseline.
    fn stopping(&self, stopping: &EarlyStopping, training: &Training) -> Result<Option<String>> {
        let (mut watches, mut stops) = (false, false);
        for (loss, accuracy) in [(1.0, 0.5), (f64::MAX, -1.0)] {
            let mut simulated = stopping.clone();
            simulated.on_train_begin(training)?;
            for logs in self.flat(training, loss, accuracy) {
                if simulated.on_epoch_end(&logs, &no_state())?.is_break() {
                    stops |= logs.epoch < training.epochs;
                    break;
                }
            }
            watches |= simulated.best_epoch().is_some();
        }
        let last = training.epochs;
        Ok(if !watches {
            Some(format!(
                "--early-stopping never evaluates an epoch, as the run ends after epoch {last}: lower \
                 --start-from-epoch or --validation-freq, or raise --epochs"
            ))
        } else if !stops && !stopping.restores() {
            Some(format!(
                "--early-stopping is too patient to stop the run before its end after epoch {last}"
            ))
        } else {
            None
        })
    }

    fn plateau(&self, reduce: &ReduceLROnPlateau, training: &Training) -> Result<Option<String>> {
        let mut simulated = reduce.clone();
        let rate = self.settings.options.optimizer.learning_rate();
        simulated.on_train_begin(training)?;
        for mut logs in self.flat(training, 1.0, 0.5) {
            let at = position(training, logs.epoch, 0);
            logs.learning_rate = simulated.learning_rate(&at, rate)?;
            if logs.learning_rate != rate {
                return Ok(None);
            }
            let _ = simulated.on_epoch_end(&logs, &no_state())?;
        }
        Ok(Some(format!(
            "--reduce-lr-on-plateau never reduces the learning rate, {}, before the run ends after epoch \
             {}: lower its N or --min-lr, or raise --epochs",
            short(rate),
            training.epochs
        )))
    }

    fn schedule(&self, schedule: &Schedule, training: &Training) -> Option<String> {
        if *schedule == Schedule::Constant {
            return None;
        }
        let rate = f64::from(self.settings.options.optimizer.learning_rate());
        // Between these steps every schedule rises all the way, falls all the way or stays.
        let turn = schedule.turning_step(training.epochs.saturating_mul(training.steps));
        let factors: Vec<f64> = (training.initial_epoch + 1..=training.epochs)
            .flat_map(|epoch| {
                let turn = turn.filter(|turn| turn / training.steps + 1 == epoch);
                let turn = turn.map(|turn| turn % training.steps);
                let steps = [Some(0), turn, Some(training.steps - 1)];
                let steps = steps.into_iter().flatten();
                steps.map(move |step| schedule.factor(&position(training, epoch, step)))
            })
            .collect();
        let (first, last) = (*factors.first()?, *factors.last()?);
        let shown = |factor: f64| short((rate * factor) as f32);
        if factors.iter().all(|factor| *factor == first) {
            return Some(format!(
                "--lr-schedule {schedule} keeps the learning rate at {} in a run that ends after epoch {}",
                shown(first),
                training.epochs
            ));
        }
        factors.iter().all(|factor| *factor <= last).then(|| {
            format!(
                "--lr-schedule {schedule} never lowers the learning rate, which rises from {} to {}",
                shown(first),
                shown(last)
            )
        })
    }
}

/// Simulated callbacks keep no weights.
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
