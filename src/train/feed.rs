//! Training and validation data: data sets, and the part of one that a pass iterates over.

use std::ops::Range;

use super::{Options, Trainer, ValidationData};
use crate::data::split::kept;
use crate::data::{Dataset, Generator};
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor};
use crate::rng::{Key, Stream};
use crate::words::{counted, short};

/// A training set and, if given, a validation set or a generator of validation batches.
///
/// ```
/// # use cnn_gpu::data::digits;
/// # use cnn_gpu::train::TrainingData;
/// let (train, validation) = (digits::generate(20, 1, 0), digits::generate(10, 1, 20));
/// let data = TrainingData::from((&train, &validation));
/// assert!(data.validation.is_some());
/// assert!(TrainingData::from(&train).validation.is_none());
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TrainingData<'a> {
    /// The training images.
    pub training: &'a Dataset,
    /// What to evaluate on after each epoch.
    pub validation: Option<ValidationData<'a>>,
}

impl<'a> TrainingData<'a> {
    /// A training set and, if given, validation data.
    pub fn new(training: &'a Dataset, validation: Option<ValidationData<'a>>) -> Self {
        Self {
            training,
            validation,
        }
    }

    /// The classes that occur in the validation images but not in the training images, each with
    /// its number of validation images: validation is meaningless for them. As in [`Options`],
    /// `validation_split` applies only if no validation data are given. None for a generator, whose labels are not
    /// known.
    ///
    /// ```
    /// use cnn_gpu::data::Dataset;
    /// use cnn_gpu::train::TrainingData;
    /// let data = Dataset::new("mine", "here", [1, 1, 1], 2, vec![0; 6], vec![0, 0, 0, 0, 1, 1])?;
    /// assert_eq!(TrainingData::from(&data).unseen_classes(0.5), [(1, 2)]);
    /// assert_eq!(TrainingData::from(&data).unseen_classes(0.1), []);
    /// # Ok::<(), cnn_gpu::data::DataError>(())
    /// ```
    pub fn unseen_classes(&self, validation_split: f64) -> Vec<(usize, usize)> {
        let labels = self.training.labels();
        let (trained, validated) = match self.validation {
            Some(ValidationData::Dataset(validation)) => (labels, validation.labels()),
            Some(ValidationData::Generator(_)) => return Vec::new(),
            None => labels.split_at(kept(labels.len(), validation_split)),
        };
        let count = |labels: &[u8]| {
            let mut counts = [0_usize; 256];
            labels.iter().for_each(|&l| counts[usize::from(l)] += 1);
            counts
        };
        let (trained, validated) = (count(trained), count(validated));
        (0..256)
            .filter(|&class| trained[class] == 0 && validated[class] > 0)
            .map(|class| (class, validated[class]))
            .collect()
    }
}

impl TrainingData<'_> {
    /// The number of validation images: those of the validation set or, without validation data, those that the
    /// validation split takes from the training set. 0 for a generator, which does not tell.
    pub fn validation_images(&self, validation_split: f64) -> usize {
        match self.validation {
            Some(ValidationData::Dataset(validation)) => validation.len(),
            Some(ValidationData::Generator(_)) => 0,
            None => self.training.len() - kept(self.training.len(), validation_split),
        }
    }
}

impl<'a> From<&'a Dataset> for TrainingData<'a> {
    fn from(training: &'a Dataset) -> Self {
        let validation = None;
        Self {
            training,
            validation,
        }
    }
}

impl<'a> From<(&'a Dataset, &'a Dataset)> for TrainingData<'a> {
    fn from((training, validation): (&'a Dataset, &'a Dataset)) -> Self {
        Self {
            training,
            validation: Some(ValidationData::Dataset(validation)),
        }
    }
}

impl<'a, V: Generator> From<(&'a Dataset, &'a V)> for TrainingData<'a> {
    fn from((training, validation): (&'a Dataset, &'a V)) -> Self {
        Self {
            training,
            validation: Some(ValidationData::Generator(validation)),
        }
    }
}

/// A part of a data set held by the executor, iterated over in batches.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) data: DataId,
    pub(super) rows: Range<usize>,
    pub(super) batch: usize,
}

/// What to evaluate on after each epoch.
pub(super) enum Validation<'a> {
    /// Images on the device.
    Resident(Feed),
    /// A generator, and the number of its batches to take.
    Generated(&'a dyn Generator, usize),
}

impl Feed {
    /// Batches in one pass, including a short last one.
    pub(super) fn batches(&self) -> usize {
        self.rows.len().div_ceil(self.batch)
    }

    /// Offset and number of rows of one batch.
    pub(super) fn batch(&self, number: usize) -> (usize, usize) {
        let offset = number * self.batch;
        (offset, self.batch.min(self.rows.len() - offset))
    }

    /// The rows in the data set's own order.
    pub(super) fn in_order(&self) -> Vec<u32> {
        self.rows.clone().map(|row| row as u32).collect()
    }

    /// The order of one pass, counted from 0.
    pub(super) fn order(&self, options: &Options, pass: usize) -> Vec<u32> {
        if !options.shuffle {
            return self.in_order();
        }
        let key = Key::new(options.seed).stream(Stream::Shuffle, pass as u32 + 1);
        let mut order = key.permutation(self.rows.len());
        order.iter_mut().for_each(|i| *i += self.rows.start as u32);
        order
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// The training part and the validation part, if there is one.
    pub(super) fn feeds<'a>(
        &mut self,
        data: TrainingData<'a>,
        [batch, inference_batch]: [usize; 2],
    ) -> Result<(Feed, Option<Validation<'a>>)> {
        let images = data.training.len();
        let kept = match data.validation {
            Some(_) => images,
            None => self.kept(images)?,
        };
        let id = self.load(data.training)?;
        let feed = |data, rows, batch| Feed { data, rows, batch };
        let validation = match data.validation {
            Some(given) => Some(self.validation(given)?),
            None if kept < images => {
                let part = self.validation_part(feed(id, kept..images, inference_batch));
                Some(Validation::Resident(part))
            }
            None => None,
        };
        Ok((feed(id, 0..kept, batch), validation))
    }

    /// A validation set, in batches of `batch`.
    pub(super) fn validation_set(&mut self, set: &Dataset, batch: usize) -> Result<Feed> {
        let feed = Feed {
            data: self.load(set)?,
            rows: 0..set.len(),
            batch,
        };
        Ok(self.validation_part(feed))
    }

    /// The part of a feed that the option `validation_steps` leaves.
    fn validation_part(&self, mut feed: Feed) -> Feed {
        if let Some(steps) = self.options.validation_steps {
            let most = steps.saturating_mul(self.options.batch_size);
            feed.rows.end = feed.rows.end.min(feed.rows.start.saturating_add(most));
        }
        feed
    }

    /// The steps that an epoch of [`Trainer::fit`] has with these data.
    ///
    /// # Errors
    /// The validation split leaves no image to train on, or none to validate on.
    pub fn steps_per_epoch(&self, data: &TrainingData<'_>) -> Result<usize> {
        let images = match data.validation {
            Some(_) => data.training.len(),
            None => self.kept(data.training.len())?,
        };
        let steps = self.options.steps_per_epoch;
        Ok(steps.unwrap_or(images.div_ceil(self.options.batch_size)))
    }

    /// The number of images that the validation split leaves for training.
    fn kept(&self, images: usize) -> Result<usize> {
        let split = self.options.validation_split;
        let kept = kept(images, split);
        if split > 0.0 && (kept == 0 || kept == images) {
            return Err(Error::Argument(format!(
                "validation split {} of {} leaves {kept} to train on and {} to validate on; give more \
                 images or another share",
                short(split),
                counted(images, "image"),
                images - kept
            )));
        }
        Ok(kept)
    }
}
