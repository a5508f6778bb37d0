//! What is trained and validated on: data sets, and the part of one that is walked through.

use std::ops::Range;

use super::{Options, Trainer};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::exec::{DataId, Executor};
use crate::rng::{Key, Stream};

/// A data set to train on and, if there is one, a data set to validate on.
///
/// ```
/// # use cnn_gpu::data::digits;
/// # use cnn_gpu::train::TrainingData;
/// let (train, validation) = (digits::generate(20, 1, 0), digits::generate(10, 1, 20));
/// let data = TrainingData::from((&train, &validation));
/// assert!(data.validation.is_some());
/// assert!(TrainingData::from(&train).validation.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TrainingData<'a> {
    /// The images to learn from.
    pub training: &'a Dataset,
    /// The images to measure with after each epoch.
    pub validation: Option<&'a Dataset>,
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
            validation: Some(validation),
        }
    }
}

/// A part of a data set that the executor holds, walked through in batches.
#[derive(Clone, Debug)]
pub(super) struct Feed {
    pub(super) data: DataId,
    pub(super) rows: Range<usize>,
    pub(super) batch: usize,
}

impl Feed {
    /// Batches in one pass, the short one at its end included.
    pub(super) fn batches(&self) -> usize {
        self.rows.len().div_ceil(self.batch)
    }

    /// Place and number of rows of one batch of a pass.
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
    /// What to train on, and what to validate on if anything.
    pub(super) fn feeds(
        &mut self,
        data: TrainingData<'_>,
        [batch, inference_batch]: [usize; 2],
    ) -> Result<(Feed, Option<Feed>)> {
        let images = data.training.len();
        let kept = match data.validation {
            Some(_) => images,
            None => self.kept(images)?,
        };
        let id = self.load(data.training)?;
        let feed = |data, rows, batch| Feed { data, rows, batch };
        let mut validation = match data.validation {
            Some(set) => Some(feed(self.load(set)?, 0..set.len(), inference_batch)),
            None if kept < images => Some(feed(id, kept..images, inference_batch)),
            None => None,
        };
        if let (Some(feed), Some(steps)) = (&mut validation, self.options.validation_steps) {
            let most = steps.saturating_mul(self.options.batch_size);
            feed.rows.end = feed.rows.end.min(feed.rows.start.saturating_add(most));
        }
        Ok((feed(id, 0..kept, batch), validation))
    }

    /// How many images the validation split leaves to train on.
    fn kept(&self, images: usize) -> Result<usize> {
        let split = self.options.validation_split;
        let kept = (images as f64 * (1.0 - split)).floor() as usize;
        if split > 0.0 && (kept == 0 || kept == images) {
            return Err(Error::Argument(format!(
                "validation split {split} of {images} images leaves {kept} to train on and {} to validate on; \
                 give more images or another share",
                images - kept
            )));
        }
        Ok(kept)
    }
}
