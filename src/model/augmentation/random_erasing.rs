//! Images with an erased rectangle.

use serde::{Deserialize, Serialize};

use super::{Factor, UNIT, augmentation_layer, checked_range};
use crate::model::layer::image;
use crate::plan::EraseAreas;

fn always() -> Factor {
    1.0.into()
}

fn scale() -> Factor {
    [0.02, 0.33].into()
}

/// Erases a rectangle of some images (Zhong et al., "Random Erasing Data Augmentation", 2017).
///
/// The probability is drawn for each image from `factor`, so that the default, 0 to 1, erases half
/// of the images, as in Keras. The rectangle's height and width are shares of the image's, each the
/// root of a number drawn from `scale`; its place is uniform. It is filled with `fill_value`, or with
/// normal noise times `value_range[1]`; both are clipped to the range.
///
/// The output has the input's shape, `[h, w, c]`. No parameters. Acts in training only.
/// Keras's default range is [0, 255], that of its pixels; here a network receives pixels in [0, 1].
/// Errors: an input that is not an image, or higher or wider than 2^19; a factor or scale outside
/// [0, 1]; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomErasing, Sequential};
/// let model = Sequential::new([32, 32, 3]).add(RandomErasing::new(1.0).fill_value(0.5));
/// assert_eq!(model.output_shape()?, vec![32, 32, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomErasing {
    /// Default: `random_erasing`, then `random_erasing_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The probability: `f` for 0 to f, or two numbers. In [0, 1]. Default 1.
    #[serde(default = "always")]
    pub factor: Factor,
    /// The square of the rectangle's height and width as shares of the image's: `f` for 0 to f, or
    /// two numbers. In [0, 1]. Default `[0.02, 0.33]`.
    #[serde(default = "scale")]
    pub scale: Factor,
    /// What fills the rectangle. Default: normal noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_value: Option<f32>,
    /// The range of pixels, to which the result is clipped. Default `[0, 1]`, the range of the
    /// network's inputs.
    #[serde(default = "super::unit")]
    pub value_range: [f64; 2],
}

impl RandomErasing {
    /// With a probability of 0 to `factor`, or between two.
    pub fn new(factor: impl Into<Factor>) -> Self {
        Self {
            name: None,
            factor: factor.into(),
            scale: scale(),
            fill_value: None,
            value_range: UNIT,
        }
    }

    /// Sets the rectangle's size.
    pub fn scale(mut self, scale: impl Into<Factor>) -> Self {
        self.scale = scale.into();
        self
    }

    /// Fills the rectangle with one value.
    pub fn fill_value(mut self, fill_value: f32) -> Self {
        self.fill_value = Some(fill_value);
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
    pub(crate) fn areas(&self) -> Result<EraseAreas, String> {
        let bounds = |factor: Factor, name| factor.bounds(name, [0.0, 1.0], 0.0);
        if self.fill_value.is_some_and(|value| !value.is_finite()) {
            return Err("fill_value must be a finite number".into());
        }
        Ok(EraseAreas {
            probability: bounds(self.factor, "factor")?,
            scale: bounds(self.scale, "scale")?,
            fill_value: self.fill_value.map(f64::from),
            range: checked_range(self.value_range)?,
        })
    }

    fn check(&self, input: &[usize]) -> Result<(), String> {
        let [h, w, _] = image(input)?;
        if h.max(w) > EraseAreas::MAX_SIDE {
            return Err(format!(
                "an image of {h}x{w} is too large; expected at most {} rows and columns",
                EraseAreas::MAX_SIDE
            ));
        }
        self.areas().map(|_| ())
    }
}

augmentation_layer!(RandomErasing, |self, input| self.check(input), |b, x| b
    .erase(x, self.areas()?));
