//! Images distorted as rubber is.

use serde::{Deserialize, Serialize};

use super::{Factor, FillMode, Resampling, UNIT, augmentation_layer, checked_range, sampled_layer};
use crate::model::layer::image;
use crate::plan::ElasticStrength;

fn one() -> Factor {
    1.0.into()
}

/// Distorts some images: moves each of their pixels by smooth random displacements (Simard, Steinkraus
/// and Platt, "Best Practices for Convolutional Neural Networks Applied to Visual Document Analysis",
/// 2003).
///
/// ```text
/// y[oy, ox] = clip(x at (oy + dy[oy, ox], ox + dx[oy, ox]))
/// dx, dy = alpha * blur(sigma * N(0, 1))       each pixel and axis with a normal number of its own
/// alpha = 0.1 * max(h, w) * s, sigma = 0.05 * min(h, w) * s, s = U(scale)
/// ```
///
/// The blur is Gaussian, with the deviation `sigma`, `floor(6 sigma) | 1` cells per axis and zeros around
/// the image. The probability is drawn for each image from `factor`, so that the default, 0 to 1,
/// distorts half of the images; the scale `s` is one for all images of a batch. All as in Keras 3.15,
/// except that Keras draws the same numbers for both axes on JAX and TensorFlow, which moves pixels
/// along the diagonal only.
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only.
/// Keras's default range is [0, 255], that of its pixels; here a network receives pixels in [0, 1].
/// Errors: an input that is not an image, or higher or wider than 2^14; a factor or scale outside
/// [0, 1]; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomElasticTransform, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(RandomElasticTransform::new([1.0, 1.0]).scale(0.8));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomElasticTransform {
    /// Default: `random_elastic_transform`, then `random_elastic_transform_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability: `f` for 0 to f, or two numbers. In [0, 1]. Default 1.
    #[serde(default = "one")]
    pub factor: Factor,
    /// How strong and how wide displacements are: `f` for 0 to f, or two numbers. In [0, 1]. Default 1.
    #[serde(default = "one")]
    pub scale: Factor,
    /// What lies outside of the image. Default `reflect`.
    #[serde(default)]
    pub fill_mode: FillMode,
    /// How a pixel between others is computed. Default `bilinear`.
    #[serde(default)]
    pub interpolation: Resampling,
    /// The pixels outside of the image for the fill mode `constant`. Default 0.
    #[serde(default)]
    pub fill_value: f32,
    /// The range of pixels, to which the result is clipped. Default `[0, 1]`, the range of the
    /// network's inputs.
    #[serde(default = "super::unit")]
    pub value_range: [f64; 2],
}

impl RandomElasticTransform {
    /// With a probability of 0 to `factor`, or between two.
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            factor: factor.into(),
            scale: one(),
            fill_mode: FillMode::default(),
            interpolation: Resampling::default(),
            fill_value: 0.0,
            value_range: UNIT,
        }
    }

    /// Sets the scale of displacements.
    pub fn scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// Sets the range of pixels.
    pub fn value_range(mut self, value_range: [f64; 2]) -> Self {
        self.value_range = value_range;
        self
    }

    /// The arguments as numbers.
    ///
    /// # Errors
    /// One that is out of its range.
    pub(crate) fn strength(&self) -> Result<ElasticStrength, String> {
        let bounds = |factor: Factor, name| factor.bounds(name, [0.0, 1.0], 0.0);
        Ok(ElasticStrength {
            probability: bounds(self.factor, "factor")?,
            scale: bounds(self.scale, "scale")?,
        })
    }

    fn check(&self, input: &[usize]) -> Result<(), String> {
        let [h, w, _] = image(input)?;
        if h.max(w) > ElasticStrength::MAX_SIDE {
            return Err(format!(
                "an image of {h}x{w} is too large; expected at most {} rows and columns",
                ElasticStrength::MAX_SIDE
            ));
        }
        self.strength()?;
        checked_range(self.value_range)?;
        self.sampling().check()
    }
}

sampled_layer!(RandomElasticTransform);
augmentation_layer!(
    RandomElasticTransform,
    |self, input| self.check(input),
    |b, x| {
        let range = checked_range(self.value_range)?;
        b.elastic(x, self.strength()?, self.sampling(), range)
    }
);
