//! The flags of `cnn-gpu train` that go to `fit`.

use std::collections::BTreeMap;

use cnn_gpu::train::Options;
use cnn_gpu::words::short;

/// What of `fit` can be set, with Keras's names.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Epochs and validation")]
pub struct FitArgs {
    /// Keeps the last images apart to validate on: a share from 0 to less than 1
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    validation_split: f64,

    /// Validates on the test images, or on those of a folder's sub-folder val (valid, validation), in
    /// place of a split [default: val, where there is such a folder and no split]
    #[arg(long, value_name = "SET", value_parser = ["test", "val"])]
    pub validation_data: Option<String>,

    /// Validates after every N epochs
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    validation_freq: usize,

    /// Validates on the first N batches [default: all]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    validation_steps: Option<usize>,

    /// Steps that make an epoch [default: once through the images]. Unlike in Keras an epoch is never
    /// cut short: the next goes on with the batch after, and images that are used up begin again in a
    /// new order
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    steps_per_epoch: Option<usize>,

    /// Counts N epochs as done; --epochs is then the last epoch's number. The images come in the order
    /// that they would have in that epoch, also of --steps-per-epoch
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    initial_epoch: Option<usize>,

    /// Goes through the images in their own order in every epoch
    #[arg(long)]
    no_shuffle: bool,

    /// Multiplies the loss of some classes: `3=2,5=0.5`
    #[arg(long, value_name = "CLASS=WEIGHT", value_delimiter = ',', value_parser = class_weight)]
    class_weight: Vec<(usize, f32)>,
}

impl FitArgs {
    /// What was typed and does nothing, a line each: a weight of a class that is given another below.
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
                    "--class-weight gives class {class} {} weights; the last, {}, counts",
                    given(class),
                    short(weight)
                )
            })
            .collect()
    }

    /// Sets what was typed.
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
