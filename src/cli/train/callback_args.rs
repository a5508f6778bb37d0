//! The flags of `cnn-gpu train` that add callbacks.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use cnn_gpu::run::CallbackRecord;
use cnn_gpu::train::Metric;
use cnn_gpu::train::callbacks::{EarlyStopping, ReduceLROnPlateau, Schedule};
use cnn_gpu::words::short;
use cnn_gpu::{Error, Result};

/// Parses the name of a metric; `--help` lists them all.
fn metric() -> impl TypedValueParser<Value = Metric> {
    let described = Metric::ALL.map(|metric| {
        PossibleValue::new(metric.name()).help(match metric {
            Metric::Loss => "Running mean of the training loss",
            Metric::Accuracy => "Running mean of the training accuracy",
            Metric::ValLoss => "Validation loss",
            Metric::ValAccuracy => "Validation accuracy",
            _ => "",
        })
    });
    PossibleValuesParser::new(described).map(|name| {
        let mut all = Metric::ALL.into_iter();
        all.find(|metric| metric.name() == name).unwrap_or_default()
    })
}

/// The common callbacks.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Callbacks")]
pub struct CallbackArgs {
    /// Metric that early stopping, the best checkpoint and the plateau watch
    #[arg(long, value_parser = metric(), value_name = "METRIC", default_value = "val_loss")]
    monitor: Metric,

    /// Stop after N epochs in a row without improvement
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    early_stopping: Option<usize>,

    /// Early stopping ignores improvements up to this size [default: 0]
    #[arg(
        long,
        value_name = "DELTA",
        requires = "early_stopping",
        allow_negative_numbers = true,
        value_parser = distance
    )]
    min_delta: Option<f64>,

    /// Early stopping counts only epochs better than this value as improvements
    #[arg(
        long,
        value_name = "VALUE",
        requires = "early_stopping",
        allow_negative_numbers = true,
        value_parser = finite
    )]
    baseline: Option<f64>,

    /// Early stopping ignores the first N epochs [default: 0]
    #[arg(
        long,
        value_name = "N",
        requires = "early_stopping",
        allow_negative_numbers = true
    )]
    start_from_epoch: Option<usize>,

    /// End with the weights of the best epoch, however the run ends
    #[arg(long, requires = "early_stopping")]
    restore_best_weights: bool,

    /// Also keep the weights of the best epoch in best.safetensors
    #[arg(long)]
    checkpoint_best: bool,

    /// Reduce the learning rate after N epochs in a row without improvement
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    reduce_lr_on_plateau: Option<usize>,

    /// Factor of the learning rate on a plateau [default: 0.1]
    #[arg(
        long,
        value_name = "FACTOR",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true
    )]
    lr_factor: Option<f64>,

    /// Epochs to wait after a reduction on a plateau [default: 0]
    #[arg(
        long,
        value_name = "N",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true
    )]
    lr_cooldown: Option<usize>,

    /// Lower bound of the learning rate on a plateau [default: 0]
    #[arg(
        long,
        value_name = "RATE",
        requires = "reduce_lr_on_plateau",
        allow_negative_numbers = true,
        value_parser = distance
    )]
    min_lr: Option<f64>,

    /// Learning-rate schedule: constant, step:EPOCHS[:FACTOR], exponential:RATE,
    /// cosine[:WARMUP_EPOCHS[:ALPHA]], one-cycle[:WARMUP_SHARE] or
    /// triangular[:START[:PEAK_SHARE[:END]]], shares of the rate; a warm-up must end before the
    /// run does
    #[arg(long, value_name = "SCHEDULE")]
    lr_schedule: Option<Schedule>,

    /// End the run with the weights of the last complete epoch when the loss becomes NaN or
    /// infinite
    #[arg(long)]
    terminate_on_nan: bool,

    /// Write TensorBoard event files: metrics, histograms of weights, images of filters
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
    /// The validated callbacks. `validates` states whether there are validation images.
    pub fn record(&self, validates: bool) -> Result<CallbackRecord> {
        if self.watches() && self.monitor.needs_validation() && !validates {
            return Err(Error::Argument(format!(
                "there are no validation images to measure {} on: expected --validation-split SHARE, \
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
        let mut record = CallbackRecord::default();
        record.terminate_on_nan = self.terminate_on_nan;
        record.checkpoint_best = self.checkpoint_best.then_some(self.monitor);
        record.tensorboard = self.tensorboard.clone();
        record.learning_rate_schedule = self.lr_schedule;
        record.reduce_lr_on_plateau = self.plateau();
        record.early_stopping = self.stopping();
        Ok(record)
    }

    fn watches(&self) -> bool {
        self.checkpoint_best || self.early_stopping.is_some() || self.reduce_lr_on_plateau.is_some()
    }

    /// A note on `--monitor`, if it has no effect.
    pub fn without_effect(&self) -> Option<String> {
        (self.monitor != Metric::default() && !self.watches()).then(|| {
            format!(
                "--monitor {} has no effect without --early-stopping, --checkpoint-best or \
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
