//! Rotated images.

use serde::{Deserialize, Serialize};

use super::{Factor, FillMode, Resampling, augmentation_layer, sampled_layer};
use crate::model::layer::image;
use crate::plan::AffinePart;

/// Rotates each image about its centre by an angle drawn from `factor` full turns: positive is
/// counter-clockwise, and 0.1 stands for -36 to 36 degrees.
///
/// ```text
/// y[oy, ox] = x at (cy + sin a * (ox - cx) + cos a * (oy - cy), cx + cos a * (ox - cx) - sin a * (oy - cy))
/// a = 2π * U(-factor, factor), cy = (h - 1) / 2, cx = (w - 1) / 2
/// ```
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only. Consecutive
/// layers that move pixels (flips, rotations, translations, zooms and shears) with equal `fill_mode`,
/// `fill_value` and `interpolation` are joined: each pixel is read once, through all of them, so that
/// images stay sharper than in Keras, which interpolates after each layer.
/// Errors: an input that is not an image; a factor outside [-1, 1]; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomRotation, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(RandomRotation::new(0.05));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomRotation {
    /// Default: `random_rotation`, then `random_rotation_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Full turns: `f` for -f to f, or two numbers. In [-1, 1].
    pub factor: Factor,
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

impl RandomRotation {
    /// By up to this share of a full turn, or between two.
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            factor: factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Resampling::default(),
            fill_value: 0.0,
        }
    }

    /// The least and the largest angle, in full turns.
    ///
    /// # Errors
    /// A factor outside [-1, 1].
    pub(crate) fn turns(&self) -> Result<[f64; 2], String> {
        self.factor.bounds("factor", [-1.0, 1.0], -1.0)
    }
}

sampled_layer!(RandomRotation);
augmentation_layer!(
    RandomRotation,
    |self, input| image(input).and(self.turns()).and(self.sampling().check()),
    |b, x| {
        let turns = self.turns()?;
        b.affine(x, AffinePart::Rotate { turns }, Some(self.sampling()))
    }
);
