//! Splitting a data set into images to train on and images to validate on.

/// The number of images, of `images` in total, that a validation split leaves for training.
pub(crate) fn kept(images: usize, validation_split: f64) -> usize {
    (images as f64 * (1.0 - validation_split)).floor() as usize
}
