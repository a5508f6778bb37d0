//! Labelled images in memory.

use sha2::{Digest, Sha256};

use super::DataError;
use super::sha256::hex;

/// Labelled images, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What the data set is called: `mnist` or `digits`.
    pub name: String,
    /// Where it came from: a folder, an address, or `built in`.
    pub source: String,
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// The number of classes; labels are smaller.
    pub classes: usize,
    /// The pixels: `[n, h, w, c]`.
    pub images: Vec<u8>,
    /// The class of each image: `[n]`.
    pub labels: Vec<u8>,
}

/// A data set to train on and one to test on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splits {
    /// The samples to learn from.
    pub train: Dataset,
    /// The samples kept apart to measure with.
    pub test: Dataset,
}

impl Dataset {
    /// Puts a data set together and checks that its parts agree.
    ///
    /// # Errors
    /// [`DataError::EmptyShape`], [`DataError::ImageBytes`] or [`DataError::LabelRange`].
    pub fn new(
        name: impl Into<String>,
        source: impl Into<String>,
        shape: [usize; 3],
        classes: usize,
        images: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let source = source.into();
        check_length(&source, shape, images.len(), labels.len())?;
        check_labels(&source, classes, &labels)?;
        Ok(Self {
            name: name.into(),
            source,
            shape,
            classes,
            images,
            labels,
        })
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The bytes of one image, `[h, w, c]`.
    pub fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of image `i`, `[h, w, c]`.
    ///
    /// # Panics
    /// If `i` is not smaller than [`Dataset::len`], as indexing a slice does.
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.image_bytes();
        &self.images[i * size..(i + 1) * size]
    }

    /// The first `n` samples, or all if there are fewer.
    #[must_use]
    pub fn take(&self, n: usize) -> Self {
        let n = n.min(self.len());
        Self {
            images: self.images[..n * self.image_bytes()].to_vec(),
            labels: self.labels[..n].to_vec(),
            name: self.name.clone(),
            source: self.source.clone(),
            ..*self
        }
    }

    /// The SHA-256 of shape, images and labels in hexadecimal: equal for equal data.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for size in self.shape {
            hash.update((size as u64).to_le_bytes());
        }
        hash.update(&self.images);
        hash.update(&self.labels);
        hex(&hash.finalize())
    }
}

fn check_length(
    path: &str,
    shape: [usize; 3],
    found: usize,
    samples: usize,
) -> Result<(), DataError> {
    let expected = shape
        .iter()
        .try_fold(samples, |product, &size| product.checked_mul(size));
    match expected {
        _ if shape.contains(&0) => Err(DataError::EmptyShape {
            path: path.into(),
            shape,
        }),
        Some(expected) if expected == found => Ok(()),
        _ => Err(DataError::ImageBytes {
            path: path.into(),
            shape,
            samples,
            found,
        }),
    }
}

fn check_labels(path: &str, classes: usize, labels: &[u8]) -> Result<(), DataError> {
    match labels
        .iter()
        .position(|&label| usize::from(label) >= classes)
    {
        None => Ok(()),
        Some(index) => Err(DataError::LabelRange {
            path: path.into(),
            index,
            label: labels[index],
            classes,
        }),
    }
}
