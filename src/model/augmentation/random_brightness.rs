//! Brighter and darker images.

use serde::{Deserialize, Serialize};

use super::{Factor, UNIT, augmentation_layer, checked_range};
use crate::model::layer::image;

/// Adds a share of the range of pixels, one per image:
///
/// ```text
/// y = clip(x + U(-factor, factor) * (value_range[1] - value_range[0]))
/// ```
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only.
/// Keras's default range is [0, 255], that of its pixels; here a network receives pixels in [0, 1].
/// Errors: an input that is not an image; a factor outside [-1, 1]; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomBrightness, Sequential};
/// let model = Sequential::new([32, 32, 3]).add(RandomBrightness::new(0.2));
/// assert_eq!(model.output_shape()?, vec![32, 32, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomBrightness {
    /// Default: `random_brightness`, then `random_brightness_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Shares of the range: `f` for -f to f, or two numbers. In [-1, 1].
    pub factor: Factor,
    /// The range of pixels, to which the result is clipped. Default `[0, 1]`, the range of the
    /// network's inputs.
    #[serde(default = "super::unit")]
    pub value_range: [f64; 2],
}

impl RandomBrightness {
    /// By up to this share of the range, or between two.
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

    /// The least and the largest share of the range.
    ///
    /// # Errors
    /// A factor outside [-1, 1].
    pub(crate) fn shares(&self) -> Result<[f64; 2], String> {
        self.factor.bounds("factor", [-1.0, 1.0], -1.0)
    }
}

augmentation_layer!(
    RandomBrightness,
    |self, input| image(input)
        .and(self.shares())
        .and(checked_range(self.value_range)),
    |b, x| b.adjust_brightness(x, self.shares()?, checked_range(self.value_range)?)
);
