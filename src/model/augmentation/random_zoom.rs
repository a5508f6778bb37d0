//! Images at another scale.

use serde::{Deserialize, Serialize};

use super::{Factor, FillMode, Resampling, augmentation_layer, sampled_layer};
use crate::model::layer::image;
use crate::plan::AffinePart;

/// Zooms each image about its centre: the height by a factor of `1 + U(height_factor)`, the width by
/// one of `1 + U(width_factor)`, or by the same one. Positive factors zoom out: the image becomes
/// smaller and `fill_mode` fills what is around it.
///
/// ```text
/// y[oy, ox] = x at (cy + zh * (oy - cy), cx + zw * (ox - cx))
/// ```
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only. Consecutive
/// layers that move pixels are one transformation; see [`RandomRotation`].
/// Errors: an input that is not an image; a factor outside (-1, 1]; a trained layer before it.
///
/// [`RandomRotation`]: super::RandomRotation
///
/// ```
/// use cnn_gpu::model::{RandomZoom, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(RandomZoom::new(0.1));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomZoom {
    /// Default: `random_zoom`, then `random_zoom_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `f` for -f to f, or two numbers. In (-1, 1].
    pub height_factor: Factor,
    /// Likewise; by default the width is zoomed as the height, which keeps the aspect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_factor: Option<Factor>,
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

impl RandomZoom {
    /// By up to this factor, and the width by the same.
    pub fn new(height_factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            height_factor: height_factor.into(),
            width_factor: None,
            fill_mode: FillMode::default(),
            interpolation: Resampling::default(),
            fill_value: 0.0,
        }
    }

    /// Zooms the width by a factor of its own.
    pub fn width_factor(mut self, width_factor: impl Into<Factor>) -> Self {
        self.width_factor = Some(width_factor.into());
        self
    }

    /// What is added to a scale of 1: for the height, and for the width if it has its own.
    ///
    /// # Errors
    /// A factor outside (-1, 1].
    pub(crate) fn shares(&self) -> Result<([f64; 2], Option<[f64; 2]>), String> {
        let bounds = |factor: Factor, name: &str| {
            let bounds = factor.bounds(name, [-1.0, 1.0], -1.0)?;
            let is_open = match factor {
                Factor::Single(f) => f > -1.0,
                Factor::Between(ends) => ends.iter().all(|&end| end > -1.0),
            };
            match is_open {
                true => Ok(bounds),
                false => Err(format!("{name} -1 must lie in (-1, 1]")),
            }
        };
        let height = bounds(self.height_factor, "height_factor")?;
        let width = self.width_factor.map(|f| bounds(f, "width_factor"));
        Ok((height, width.transpose()?))
    }
}

sampled_layer!(RandomZoom);
augmentation_layer!(
    RandomZoom,
    |self, input| image(input).and(self.shares()).and(self.sampling().check()),
    |b, x| {
        let (height, width) = self.shares()?;
        let part = AffinePart::Zoom { height, width };
        b.affine(x, part, Some(self.sampling()))
    }
);
