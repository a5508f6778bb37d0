//! Shifted images.

use serde::{Deserialize, Serialize};

use super::{Factor, FillMode, Resampling, augmentation_layer, sampled_layer};
use crate::model::layer::image;
use crate::plan::AffinePart;

/// Shifts each image down by a share of its height drawn from `height_factor`, and to the right by a
/// share of its width drawn from `width_factor`; negative shares are up and to the left.
///
/// ```text
/// y[oy, ox] = x at (oy - U(height_factor) * h, ox - U(width_factor) * w)
/// ```
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only. Consecutive
/// layers that move pixels are one transformation; see [`RandomRotation`]. `fill_mode` is `reflect`
/// by default as in Keras's code, whose description says `constant`.
/// Errors: an input that is not an image; a factor outside [-1, 1]; a trained layer before it.
///
/// [`RandomRotation`]: super::RandomRotation
///
/// ```
/// use cnn_gpu::model::{RandomTranslation, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(RandomTranslation::new(0.1, [0.0, 0.2]));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomTranslation {
    /// Default: `random_translation`, then `random_translation_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Shares of the height: `f` for -f to f, or two numbers. In [-1, 1].
    pub height_factor: Factor,
    /// Shares of the width, likewise.
    pub width_factor: Factor,
    /// What lies outside of the image. Default `reflect`.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// How a pixel between others is computed. Default `bilinear`.
    #[serde(default)]
    pub interpolation: Resampling,
    /// The pixels outside of the image for the fill mode `constant`. Default 0.
    #[serde(default)]
    pub fill_value: f32,
}

impl RandomTranslation {
    /// By up to these shares of the height and the width.
    pub fn new(height_factor: impl Into<Factor>, width_factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            height_factor: height_factor.into(),
            width_factor: width_factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Resampling::default(),
            fill_value: 0.0,
        }
    }

    /// The least and the largest shift down and to the right.
    ///
    /// # Errors
    /// A factor outside [-1, 1].
    pub(crate) fn shares(&self) -> Result<[[f64; 2]; 2], String> {
        let bounds = |factor: Factor, name| factor.bounds(name, [-1.0, 1.0], -1.0);
        let height = bounds(self.height_factor, "height_factor")?;
        Ok([height, bounds(self.width_factor, "width_factor")?])
    }
}

sampled_layer!(RandomTranslation);
augmentation_layer!(
    RandomTranslation,
    |self, input| image(input).and(self.shares()).and(self.sampling().check()),
    |b, x| {
        let [height, width] = self.shares()?;
        let part = AffinePart::Translate { height, width };
        b.affine(x, part, Some(self.sampling()))
    }
);
