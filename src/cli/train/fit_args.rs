//! The flags of `cnn-gpu train` that go to `fit`.

use std::collections::BTreeMap;

use cnn_gpu::train::Options;
use cnn_gpu::words::short;

/// The arguments of `fit`, with Keras's names.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Epochs and validation")]
pub struct FitArgs {
    /// Hold out the last images for validation: a share from 0 to less than 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    validation_split: f64,
    /// Validate on the test images, or on those in a folder's sub-folder val (valid, validation),
    /// instead of a split [default: val, if there is such a folder and no split]
    #[arg(long, value_name = "SET", value_parser = ["test", "val"])]
    pub validation_data: Option<String>,

    /// Validate every N epochs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    validation_freq: usize,

    /// Validate on the first N batches only [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    validation_steps: Option<usize>,
    /// Steps per epoch [default: one pass over the images]. Unlike in Keras an epoch is never cut
    /// short: the next one continues with the following batch, and when all images are used they
    /// start over in a new order
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps_per_epoch: Option<usize>,
    /// Count N epochs as done; --epochs is then the number of the last epoch. The images come in
    /// the order of that epoch, also with --steps-per-epoch
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    initial_epoch: Option<usize>,

    /// Do not shuffle the images
    #[arg(long)]
    no_shuffle: bool,

    /// Weight the loss of some classes: `3=2,5=0.5`
    #[arg(long, value_name = "CLASS=WEIGHT", value_delimiter = ',', value_parser = class_weight)]
    class_weight: Vec<(usize, f32)>,
}

impl FitArgs {
    /// Notes on flags without effect, one line each: classes that are given several weights.
    pub fn without_effect(&self) -> Vec<String> {
        let last: BTreeMap<usize, f32> = self.class_weight.iter().copied().collect();
        let given = |class| {
            self.class_weight
                .iter()
                .filter(|(c, _)| *c == class)
                .count()
        };
        (last.into_iter())
            .filter(|(class, _)| given(*class) > 1)
            .map(|(class, weight)| {
                format!(
                    "--class-weight {class}=... occurs {} times; the last one, {}, is used",
                    given(class),
                    short(weight)
                )
            })
            .collect()
    }

    /// Applies the flags to `options`.
    pub fn set(&self, mut options: Options) -> Options {
        options.validation_steps = self.validation_steps;
        options.steps_per_epoch = self.steps_per_epoch;
        options.initial_epoch = self.initial_epoch;
        options
            .validation_split(self.validation_split)
            .validation_freq(self.validation_freq)
            .shuffle(!self.no_shuffle)
            .class_weight(self.class_weight.iter().copied())
    }
}

fn class_weight(typed: &str) -> Result<(usize, f32), &'static str> {
    let parts = typed.split_once('=');
    parts
        .and_then(|(class, weight)| Some((class.parse().ok()?, weight.parse().ok()?)))
        .ok_or("expected a class and its weight, as in 3=2")
}
