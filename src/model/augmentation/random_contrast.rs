//! Images of another contrast.

use serde::{Deserialize, Serialize};

use super::{Factor, UNIT, augmentation_layer, checked_range};
use crate::model::layer::image;

/// Multiplies the deviation of each pixel from its channel's mean by a factor, one per image:
///
/// ```text
/// y = clip((x - mean) * U(1 - factor[0], 1 + factor[1]) + mean)
/// ```
///
/// where the mean is that of a channel of an image. As in Keras, one number `f` is the range
/// `[0, f]`: it only raises the contrast; `[f, f]` changes it both ways.
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only.
/// Keras's default range is [0, 255], that of its pixels; here a network receives pixels in [0, 1].
/// Errors: an input that is not an image; a factor outside [0, 1]; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomContrast, Sequential};
/// let model = Sequential::new([32, 32, 3]).add(RandomContrast::new([0.2, 0.2]));
/// assert_eq!(model.output_shape()?, vec![32, 32, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomContrast {
    /// Default: `random_contrast`, then `random_contrast_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// By how much the contrast may be lowered and raised: two numbers in [0, 1], the smaller for
    /// lowering, or one for raising it only.
    pub factor: Factor,
    /// The range of pixels, to which the result is clipped. Default `[0, 1]`, the range of the
    /// network's inputs.
    #[serde(default = "super::unit")]
    pub value_range: [f64; 2],
}

impl RandomContrast {
    /// Raises the contrast by up to this factor, or changes it within two.
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            factor: factor.into(),
            value_range: UNIT,
        }
    }

    /// Sets the range of pixels.
    pub fn value_range(mut self, value_range: [f64; 2]) -> Self {
        self.value_range = value_range;
        self
    }

    /// The least and the largest factor of the deviation from the mean.
    ///
    /// # Errors
    /// A factor outside [0, 1].
    pub(crate) fn scales(&self) -> Result<[f64; 2], String> {
        let [lower, upper] = self.factor.bounds("factor", [0.0, 1.0], 0.0)?;
        Ok([1.0 - lower, 1.0 + upper])
    }
}

augmentation_layer!(
    RandomContrast,
    |self, input| image(input)
        .and(self.scales())
        .and(checked_range(self.value_range)),
    |b, x| b.adjust_contrast(x, self.scales()?, checked_range(self.value_range)?)
);
