//! Training options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::Factor;
use crate::optimizer::Optimizer;
use crate::plan::{MOST_CONCENTRATED, Mixing, Purpose};
use crate::rng::DEFAULT_SEED;
use crate::words::{counted, short};

/// Training options, with Keras's names and, where Keras has one, its default.
///
/// ```
/// use cnn_gpu::optimizer::Optimizer;
/// use cnn_gpu::train::Options;
/// let options = Options::default().epochs(3).batch_size(128).optimizer(Optimizer::sgd());
/// assert!(options.check().is_ok());
/// assert!(options.batch_size(0).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Options {
    /// Number of epochs; with `initial_epoch`, the number of the last epoch. Default 5.
    pub epochs: usize,
    /// Rows per step; the last step of an epoch may be shorter. Default 64.
    pub batch_size: usize,
    /// Cuts each batch into micro-batches of this many rows, the last of which may be shorter, to train with
    /// batches that do not fit the device: its memory holds the tensors of one micro-batch. Their gradients
    /// are summed in a fixed order, and each batch has one update. Default: none.
    ///
    /// The loss is a mean over the rows of the batch, and random draws are keyed by a row's place in it, so the
    /// gradient is that of the whole batch, up to rounding, with two exceptions: a batch normalization takes
    /// the statistics of each micro-batch, and MixUp and `CutMix` mix the rows of a micro-batch. Moving
    /// statistics move once for each batch, towards the mean of the micro-batches' statistics, weighted by their rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// The seed of all random numbers: initial weights, shuffling, dropout. Default 42.
    pub seed: u64,
    /// Whether to shuffle the training set before each epoch. Default true.
    pub shuffle: bool,
    /// The fraction of the training set to use for validation: its last images, before any
    /// shuffling. Ignored if a validation set is given. Default 0.
    pub validation_split: f64,
    /// Number of epochs between validations. Default 1.
    pub validation_freq: usize,
    /// Number of validation batches to use. Default: all.
    pub validation_steps: Option<usize>,
    /// Steps per epoch. The next epoch continues with the following batch, and an exhausted set
    /// starts over in a new order, so a set is never too short. Default: one pass over the set.
    pub steps_per_epoch: Option<usize>,
    /// Number of epochs that count as completed, whatever the trainer has done before. Default:
    /// those it has completed; `epochs` more are then trained.
    pub initial_epoch: Option<usize>,
    /// Factors of the training loss by class; classes without one have 1. The sum is still divided
    /// by the number of samples. Default: none.
    pub class_weight: BTreeMap<usize, f32>,
    /// MixUp (Zhang et al., 2017): each image of a step, and its label, is mixed with another one of
    /// the step, `share * image + (1 - share) * other` with a share from Beta(alpha, alpha). The
    /// default of Keras's layer is 0.2; above 0, at most 32. Default: none.
    ///
    /// Images are mixed behind the model's last layer that varies images. A row then has two labels;
    /// training's loss is that of the mixed labels, and its accuracy compares with the class of the
    /// larger share, as in Keras. The weight of the row is that of this class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixup: Option<f64>,
    /// `CutMix` (Yun et al., 2019): a box of each image of a step is filled from another one of the step,
    /// whose label gets the box's share of the area, before its edges are rounded to pixels. Each step draws `alpha` between the numbers of the
    /// factor, or from 0 to a single one, and each image a side `sqrt(1 - m)` of the image's with `m`
    /// from Beta(alpha, alpha) and a place within the image. The default of Keras's layer is 1; above 0,
    /// at most 1. Default: none.
    ///
    /// Otherwise as [`Options::mixup`]. With both, each step draws one of them, each with probability
    /// 1/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<Factor>,
    /// Default Adam.
    pub optimizer: Optimizer,
    /// Progress output on standard error. Default: none.
    #[serde(skip)]
    pub verbose: Verbose,
}

/// How much progress to print on standard error, with Keras's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verbose {
    /// 0: nothing.
    #[default]
    Silent,
    /// 1: a progress bar per epoch if standard error is a terminal; otherwise like 2.
    Bar,
    /// 2: a line per epoch.
    Lines,
    /// As `Bar`, with curves of loss and accuracy below the bar.
    Live,
}

impl From<u8> for Verbose {
    fn from(verbose: u8) -> Self {
        match verbose {
            0 => Self::Silent,
            1 => Self::Bar,
            _ => Self::Lines,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            epochs: 5,
            batch_size: 64,
            micro_batch: None,
            seed: DEFAULT_SEED,
            shuffle: true,
            validation_split: 0.0,
            validation_freq: 1,
            validation_steps: None,
            steps_per_epoch: None,
            initial_epoch: None,
            class_weight: BTreeMap::new(),
            mixup: None,
            cutmix: None,
            optimizer: Optimizer::default(),
            verbose: Verbose::default(),
        }
    }
}

impl Options {
    /// Sets the number of epochs.
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the number of rows per step.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Cuts batches into micro-batches; see [`Options::micro_batch`](Self#structfield.micro_batch).
    pub fn micro_batch(mut self, rows: usize) -> Self {
        self.micro_batch = Some(rows);
        self
    }

    /// Sets the seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets whether to shuffle before each epoch.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Sets the fraction of the training images to validate on, in `[0, 1)`.
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation_split = share;
        self
    }

    /// Sets the number of epochs between validations.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// Sets the number of validation batches to use.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// Sets the number of steps per epoch.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// Sets the number of epochs that count as completed.
    pub fn initial_epoch(mut self, epoch: usize) -> Self {
        self.initial_epoch = Some(epoch);
        self
    }

    /// Sets class weights: `class_weight([(3, 2.0), (5, 0.5)])`.
    pub fn class_weight(mut self, weights: impl IntoIterator<Item = (usize, f32)>) -> Self {
        self.class_weight = weights.into_iter().collect();
        self
    }

    /// Mixes images and their labels with MixUp; see [`Options::mixup`](Self#structfield.mixup).
    pub fn mixup(mut self, alpha: f64) -> Self {
        self.mixup = Some(alpha);
        self
    }

    /// Mixes images and their labels with `CutMix`; see [`Options::cutmix`](Self#structfield.cutmix).
    pub fn cutmix(mut self, factor: impl Into<Factor>) -> Self {
        self.cutmix = Some(factor.into());
        self
    }

    /// Sets the optimizer.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = optimizer;
        self
    }

    /// Sets the progress output on standard error.
    pub fn verbose(mut self, verbose: impl Into<Verbose>) -> Self {
        self.verbose = verbose.into();
        self
    }

    /// Checks the options.
    ///
    /// # Errors
    /// A count of zero, a fraction outside `[0, 1)`, no epoch left after `initial_epoch`, a class
    /// weight that is negative or not finite, a parameter of MixUp or `CutMix` outside of its range, or
    /// invalid optimizer settings.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("epochs", Some(self.epochs)),
            ("batch size", Some(self.batch_size)),
            ("micro-batch", self.micro_batch),
            ("validation frequency", Some(self.validation_freq)),
            ("validation steps", self.validation_steps),
            ("steps per epoch", self.steps_per_epoch),
        ];
        if let Some((what, _)) = counts.iter().find(|(_, count)| *count == Some(0)) {
            return Err(Error::Argument(format!(
                "{what} must be at least 1, received 0"
            )));
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            return Err(Error::Argument(format!(
                "validation split {} must lie in [0, 1)",
                short(self.validation_split)
            )));
        }
        if let Some(initial) = self.initial_epoch.filter(|i| *i >= self.epochs) {
            return Err(Error::Argument(format!(
                "initial epoch {initial} leaves no epoch to train: expected less than the {}",
                counted(self.epochs, "epoch")
            )));
        }
        let wrong = |(_, weight): &(&usize, &f32)| !(0.0..=f32::MAX).contains(*weight);
        if let Some((class, weight)) = self.class_weight.iter().find(wrong) {
            return Err(Error::Argument(format!(
                "class weights must be finite numbers of at least 0, received {} for class {class}",
                short(*weight)
            )));
        }
        self.mixing()?;
        self.optimizer.check()
    }

    /// How training mixes images.
    ///
    /// # Errors
    /// A parameter that is out of its range.
    pub fn mixing(&self) -> Result<Option<Mixing>> {
        let wrong = |alpha: &f64| !(*alpha > 0.0 && *alpha <= MOST_CONCENTRATED);
        if let Some(alpha) = self.mixup.filter(wrong) {
            return Err(Error::Argument(format!(
                "mixup's alpha must be above 0 and at most {MOST_CONCENTRATED}, received {}",
                short(alpha)
            )));
        }
        let bounds = |factor: Factor| factor.bounds("cutmix's factor", [0.0, 1.0], 0.0);
        let cutmix = self
            .cutmix
            .map(bounds)
            .transpose()
            .map_err(Error::Argument)?;
        if cutmix.is_some_and(|[_, most]| most == 0.0) {
            let message = "cutmix's factor must be above 0 and at most 1, received 0";
            return Err(Error::Argument(message.into()));
        }
        Ok(Mixing::new(self.mixup, cutmix))
    }

    /// The rows of a micro-batch, of which no more than a batch has are computed at a time; `None` if batches are
    /// not cut.
    pub(crate) fn rows_of_parts(&self) -> Option<usize> {
        self.micro_batch.map(|rows| rows.min(self.batch_size))
    }

    /// What a step of training is.
    ///
    /// # Errors
    /// As [`Options::check`].
    pub fn purpose(&self) -> Result<Purpose> {
        Ok(match self.mixing()? {
            Some(mixing) => Purpose::MixedTraining(self.optimizer, mixing),
            None => Purpose::Training(self.optimizer),
        })
    }

    /// Every option by name, as in a settings file, except the progress output.
    pub fn by_name(&self) -> serde_json::Map<String, serde_json::Value> {
        match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(options)) => options,
            // Numbers, words and tables of them: there is nothing that JSON could not hold.
            _ => serde_json::Map::new(),
        }
    }

    /// The weights of `classes` classes; none if all are 1.
    pub(crate) fn class_weights(&self, classes: usize) -> Result<Option<Vec<f32>>> {
        let mut weights = vec![1.0; classes];
        for (&class, &weight) in &self.class_weight {
            let Some(place) = weights.get_mut(class) else {
                return Err(Error::Argument(format!(
                    "class weight for class {class}: the model has the classes 0 to {}",
                    classes - 1
                )));
            };
            *place = weight;
        }
        Ok(weights.iter().any(|w| *w != 1.0).then_some(weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_a_settings_file_and_old_files_are_read() {
        let options = Options::default()
            .class_weight([(3, 0.1), (10, 2.0)])
            .validation_split(0.1)
            .steps_per_epoch(7)
            .mixup(0.4)
            .cutmix([0.25, 1.0]);
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<Options>(&text).unwrap(), options);
        let by_name = options.by_name();
        assert_eq!(by_name["batch_size"], 64);
        let again = serde_json::from_value::<Options>(by_name.into()).unwrap();
        assert_eq!(again, options);
        let old = "epochs = 2\nbatch_size = 8\nseed = 1\nshuffle = true\n[optimizer]\nname = \"sgd\"\n\
                   learning_rate = 0.1\nmomentum = 0.0\nnesterov = false\n";
        let expected = Options::default()
            .epochs(2)
            .batch_size(8)
            .seed(1)
            .optimizer(Optimizer::sgd().with_learning_rate(0.1));
        assert_eq!(toml::from_str::<Options>(old).unwrap(), expected);
    }
}
