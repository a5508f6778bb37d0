//! Mirrored images.

use serde::{Deserialize, Serialize};

use super::augmentation_layer;
use crate::model::layer::image;
use crate::plan::AffinePart;

/// The axes along which images are mirrored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipMode {
    /// Left to right.
    Horizontal,
    /// Top to bottom.
    Vertical,
    /// Both.
    #[default]
    HorizontalAndVertical,
}

impl FlipMode {
    /// Keras's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Horizontal => "horizontal",
            Self::Vertical => "vertical",
            Self::HorizontalAndVertical => "horizontal_and_vertical",
        }
    }
}

/// Mirrors each image left to right, top to bottom, or both, each with probability 1/2 and
/// independently of the other.
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only. Consecutive
/// layers that move pixels are one transformation; see [`RandomRotation`]. Keras 3.15 mirrors along
/// both axes or along none in the default mode, although its description says each. Errors: an input
/// that is not an image; a trained layer before it.
///
/// [`RandomRotation`]: super::RandomRotation
///
/// ```
/// use cnn_gpu::model::{FlipMode, RandomFlip, Sequential};
/// let model = Sequential::new([32, 32, 3]).add(RandomFlip::new().mode(FlipMode::Horizontal));
/// assert_eq!(model.output_shape()?, vec![32, 32, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomFlip {
    /// Default: `random_flip`, then `random_flip_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The axes. Default `horizontal_and_vertical`.
    #[serde(default)]
    pub mode: FlipMode,
}

impl RandomFlip {
    /// Along both axes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the axes.
    pub fn mode(mut self, mode: FlipMode) -> Self {
        self.mode = mode;
        self
    }
}

augmentation_layer!(RandomFlip, |self, input| image(input), |b, x| {
    let part = AffinePart::Flip {
        horizontal: self.mode != FlipMode::Vertical,
        vertical: self.mode != FlipMode::Horizontal,
    };
    b.affine(x, part, None)
});
