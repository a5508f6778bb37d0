//! Slanted images.

use serde::{Deserialize, Serialize};

use super::{Factor, FillMode, Resampling, augmentation_layer, sampled_layer};
use crate::model::layer::image;
use crate::plan::AffinePart;

fn none() -> Factor {
    0.0.into()
}

/// Slants each image: shifts its rows by a share of their distance from the top, drawn from
/// `x_factor`, and its columns by a share of their distance from the left, drawn from `y_factor`; both
/// with the same sign, which is drawn too.
///
/// ```text
/// y[oy, ox] = x at (oy + s * U(y_factor) * ox, ox + s * U(x_factor) * oy), s = 1 or -1
/// ```
///
/// One number `f` stands for -f to f and two for a range, but no number may be negative, as in Keras.
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only. Consecutive
/// layers that move pixels are one transformation; see [`RandomRotation`].
/// Errors: an input that is not an image; a factor outside [0, 1]; a trained layer before it.
///
/// [`RandomRotation`]: super::RandomRotation
///
/// ```
/// use cnn_gpu::model::{RandomShear, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(RandomShear::new(0.2, 0.0));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomShear {
    /// Default: `random_shear`, then `random_shear_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Shifts of rows, as a share of their distance from the top. In [0, 1]. Default 0.
    #[serde(default = "none")]
    pub x_factor: Factor,
    /// Shifts of columns, as a share of their distance from the left. In [0, 1]. Default 0.
    #[serde(default = "none")]
    pub y_factor: Factor,
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

impl RandomShear {
    /// By up to these shares along the x and the y axis.
    pub fn new(x_factor: impl Into<Factor>, y_factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            x_factor: x_factor.into(),
            y_factor: y_factor.into(),
            fill_mode: FillMode::default(),
            interpolation: Resampling::default(),
            fill_value: 0.0,
        }
    }

    /// The least and the largest share along the x and the y axis.
    ///
    /// # Errors
    /// A factor outside [0, 1].
    pub(crate) fn shares(&self) -> Result<[[f64; 2]; 2], String> {
        let bounds = |factor: Factor, name| factor.bounds(name, [0.0, 1.0], -1.0);
        let x = bounds(self.x_factor, "x_factor")?;
        Ok([x, bounds(self.y_factor, "y_factor")?])
    }
}

sampled_layer!(RandomShear);
augmentation_layer!(
    RandomShear,
    |self, input| image(input).and(self.shares()).and(self.sampling().check()),
    |b, x| {
        let [x_shares, y_shares] = self.shares()?;
        let part = AffinePart::Shear {
            x: x_shares,
            y: y_shares,
        };
        b.affine(x, part, Some(self.sampling()))
    }
);
