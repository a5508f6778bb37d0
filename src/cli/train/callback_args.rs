//! The flags of `cnn-gpu train` that add callbacks.

use std::path::PathBuf;

use cnn_gpu::run::CallbackRecord;
use cnn_gpu::train::Metric;
use cnn_gpu::train::callbacks::{EarlyStopping, ReduceLROnPlateau, Schedule};
use cnn_gpu::words::short;
use cnn_gpu::{Error, Result};

/// The common callbacks.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Callbacks")]
pub struct CallbackArgs {
    /// What early stopping, the best checkpoint and the plateau watch
    #[arg(long, value_enum, value_name = "METRIC", default_value_t)]
    monitor: Metric,

    /// Stops when N epochs in a row did not improve
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    early_stopping: Option<usize>,

    /// Differences up to this one are no improvement to early stopping [default: 0]
    #[arg(
        long,
        value_name = "DELTA",
        requires = "early_stopping",
        allow_negative_numbers = true,
        value_parser = distance
    )]
    min_delta: Option<f64>,

    /// What early stopping wants the metric to be better than
    #[arg(
        long,
        value_name = "VALUE",
        requires = "early_stopping",
        allow_negative_numbers = true,
        value_parser = finite
    )]
    baseline: Option<f64>,

    /// Early stopping passes over the first N epochs [default: 0]
    #[arg(
        long,
        value_name = "N",
        requires = "early_stopping",
        allow_negative_numbers = true
    )]
    start_from_epoch: Option<usize>,

    /// Ends with the weights of the best epoch, whatever ended the run
    #[arg(long, requires = "early_stopping")]
    restore_best_weights: bool,

    /// Also keeps the weights of the best epoch, in best.safetensors
    #[arg(long)]
    checkpoint_best: bool,

    /// Reduces the learning rate when N epochs in a row did not improve
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    reduce_lr_on_plateau: Option<usize>,

    /// What the plateau multiplies the learning rate by [default: 0.1]
    #[arg(
        long,
        value_name = "FACTOR",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true
    )]
    lr_factor: Option<f64>,

    /// After a reduction the plateau waits for N epochs [default: 0]
    #[arg(
        long,
        value_name = "N",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true
    )]
    lr_cooldown: Option<usize>,

    /// The plateau reduces the learning rate to no less [default: 0]
    #[arg(
        long,
        value_name = "RATE",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true,
        value_parser = distance
    )]
    min_lr: Option<f64>,

    /// constant, step:EPOCHS[:FACTOR], exponential:RATE, cosine[:WARMUP_EPOCHS[:ALPHA]] or
    /// one-cycle[:WARMUP_SHARE]; a warm-up must end before the run does
    #[arg(long, value_name = "SCHEDULE")]
    lr_schedule: Option<Schedule>,

    /// Ends the run in order, with the last whole epoch's weights, when the loss is not a number
    #[arg(long)]
    terminate_on_nan: bool,

    /// Writes event files for TensorBoard: metrics, histograms of weights, pictures of filters
    #[arg(long, value_name = "DIR")]
    tensorboard: Option<PathBuf>,
}

fn finite(typed: &str) -> Result<f64, &'static str> {
    let number = typed.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or("expected a number")
}

fn distance(typed: &str) -> Result<f64, &'static str> {
    let number = finite(typed).ok().filter(|number| *number >= 0.0);
    number.ok_or("expected a number, 0 or more")
}

impl CallbackArgs {
    /// What was typed, checked; `validates` says whether there are images to validate on.
    pub fn record(&self, validates: bool) -> Result<CallbackRecord> {
        if self.watches() && self.monitor.needs_validation() && !validates {
            return Err(Error::Argument(format!(
                "there are no images to measure {} on: expected --validation-split SHARE, \
                 --validation-data test, or --monitor loss",
                self.monitor.name()
            )));
        }
        if let Some(factor) = self.lr_factor.filter(|f| !(0.0..1.0).contains(f)) {
            return Err(Error::Argument(format!(
                "--lr-factor {} must lie in [0, 1)",
                short(factor)
            )));
        }
        Ok(CallbackRecord {
            terminate_on_nan: self.terminate_on_nan,
            checkpoint_best: self.checkpoint_best.then_some(self.monitor),
            tensorboard: self.tensorboard.clone(),
            learning_rate_schedule: self.lr_schedule,
            reduce_lr_on_plateau: self.plateau(),
            early_stopping: self.stopping(),
        })
    }

    fn watches(&self) -> bool {
        self.checkpoint_best || self.early_stopping.is_some() || self.reduce_lr_on_plateau.is_some()
    }

    /// What was typed and does nothing, if anything.
    pub fn without_effect(&self) -> Option<String> {
        (self.monitor != Metric::default() && !self.watches()).then(|| {
            format!(
                "--monitor {} does nothing without --early-stopping, --checkpoint-best or \
                 --reduce-lr-on-plateau",
                self.monitor.name()
            )
        })
    }

    fn plateau(&self) -> Option<ReduceLROnPlateau> {
        let reduce = ReduceLROnPlateau::new(self.monitor)
            .patience(self.reduce_lr_on_plateau?)
            .cooldown(self.lr_cooldown.unwrap_or_default())
            .min_lr(self.min_lr.unwrap_or_default());
        Some(match self.lr_factor {
            Some(factor) => reduce.factor(factor),
            None => reduce,
        })
    }

    fn stopping(&self) -> Option<EarlyStopping> {
        let stopping = EarlyStopping::new(self.monitor)
            .patience(self.early_stopping?)
            .min_delta(self.min_delta.unwrap_or_default())
            .start_from_epoch(self.start_from_epoch.unwrap_or_default())
            .restore_best_weights(self.restore_best_weights);
        Some(match self.baseline {
            Some(baseline) => stopping.baseline(baseline),
            None => stopping,
        })
    }
}
