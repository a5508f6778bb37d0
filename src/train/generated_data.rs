//! Training data from a generator, and what to validate on.

use crate::data::{Dataset, Generator};

/// A generator of training batches and, if given, validation data.
///
/// ```
/// use cnn_gpu::data::digits::{self, DigitStream};
/// use cnn_gpu::train::GeneratedData;
/// let (training, validation) = (DigitStream::new(64, 1), DigitStream::new(64, 2));
/// let images = digits::generate(100, 3, 0);
/// assert!(GeneratedData::from(&training).validation.is_none());
/// assert!(GeneratedData::from((&training, &validation)).validation.is_some());
/// assert!(GeneratedData::from((&training, &images)).validation.is_some());
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct GeneratedData<'a> {
    /// Makes the training batches.
    pub training: &'a dyn Generator,
    /// What to evaluate on after each epoch.
    pub validation: Option<ValidationData<'a>>,
}

/// What to validate on.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ValidationData<'a> {
    /// A data set: all of its images, or the first
    /// [`validation_steps`](super::Options::validation_steps) batches.
    Dataset(&'a Dataset),
    /// The first [`validation_steps`](super::Options::validation_steps) batches of a generator, by
    /// default [`Generator::steps`]: the same ones after every epoch.
    Generator(&'a dyn Generator),
}

impl<'a> GeneratedData<'a> {
    /// A generator and, if given, validation data.
    pub fn new(training: &'a dyn Generator, validation: Option<ValidationData<'a>>) -> Self {
        Self {
            training,
            validation,
        }
    }
}

impl<'a> From<&'a dyn Generator> for GeneratedData<'a> {
    fn from(training: &'a dyn Generator) -> Self {
        Self::new(training, None)
    }
}

impl<'a, G: Generator> From<&'a G> for GeneratedData<'a> {
    fn from(training: &'a G) -> Self {
        Self::new(training, None)
    }
}

impl<'a, G: Generator> From<(&'a G, &'a Dataset)> for GeneratedData<'a> {
    fn from((training, validation): (&'a G, &'a Dataset)) -> Self {
        Self::new(training, Some(ValidationData::Dataset(validation)))
    }
}

impl<'a, G: Generator, V: Generator> From<(&'a G, &'a V)> for GeneratedData<'a> {
    fn from((training, validation): (&'a G, &'a V)) -> Self {
        Self::new(training, Some(ValidationData::Generator(validation)))
    }
}
