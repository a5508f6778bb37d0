//! Images cut at a random place.

use serde::{Deserialize, Serialize};

use super::augmentation_name;
use crate::model::layer::{LayerSpec, ParameterSpec, image};
use crate::plan::{AffinePart, Builder, ResizeShape, Value};

/// Cuts images to `height` x `width`: in training at one random place for all images of a batch, in
/// inference to the largest part around the centre that has the aspect of the output, which is
/// resized to it.
///
/// ```text
/// training   y[oy, ox] = x[oy + floor(U(0, 1) * (h - height + 1)), ox + floor(U(0, 1) * (w - width + 1))]
/// inference  y[oy, ox] = x at (top + (oy + 1/2) * rows / height - 1/2, left + (ox + 1/2) * columns / width - 1/2)
///            rows = min(h, floor(w * height / width)), top = floor((h - rows) / 2), likewise columns and left
/// ```
///
/// Resized pixels are bilinear without smoothing. If the input is not higher and wider than the
/// output, training takes the part from row `top` and column `left` on that fits into the input, and
/// resizes it if it is smaller than the output.
///
/// Input `[h, w, c]`, output `[height, width, c]`. No parameters. This follows Keras's
/// documentation and, for training, its code; in inference, Keras 3.15's code leaves images as they are,
/// which networks with dense layers cannot take.
/// Errors: an input that is not an image; a size of 0, of the input or the output; a side of more than
/// 2^15; a trained layer before it.
///
/// ```
/// use cnn_gpu::model::{RandomCrop, Sequential};
/// let model = Sequential::new([40, 40, 3]).add(RandomCrop::new(32, 32));
/// assert_eq!(model.output_shape()?, vec![32, 32, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RandomCrop {
    /// Default: `random_crop`, then `random_crop_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Rows of the output.
    pub height: usize,
    /// Columns of the output.
    pub width: usize,
}

impl RandomCrop {
    /// Cuts images to this size.
    pub fn new(height: usize, width: usize) -> Self {
        Self {
            name: None,
            height,
            width,
        }
    }

    /// The part of an input that inference resizes.
    ///
    /// # Errors
    /// As [`LayerSpec::output_shape`].
    pub(crate) fn centre(&self, input: &[usize]) -> Result<ResizeShape, String> {
        let [h, w, channels] = image(input)?;
        if [h, w, channels].contains(&0) {
            return Err(format!(
                "an input of {h}x{w}x{channels} must be at least 1x1x1"
            ));
        }
        let to = [self.height, self.width];
        if to.contains(&0) {
            return Err(format!(
                "a size of {}x{} must be at least 1x1",
                self.height, self.width
            ));
        }
        let largest = [h, w, self.height, self.width].into_iter().max();
        if largest > Some(ResizeShape::MAX_SIDE) {
            return Err(format!(
                "{h}x{w} to {}x{}: expected at most {} rows and columns",
                self.height,
                self.width,
                ResizeShape::MAX_SIDE
            ));
        }
        let rows = (w * self.height / self.width).clamp(1, h);
        let columns = (h * self.width / self.height).clamp(1, w);
        Ok(ResizeShape {
            from: [h, w],
            start: [(h - rows) / 2, (w - columns) / 2],
            window: [rows, columns],
            to,
            channels,
        })
    }

    /// As the centre, in training of an input that is not higher and wider than the output.
    fn beginning(&self, input: &[usize]) -> Result<ResizeShape, String> {
        let centre = self.centre(input)?;
        let size = |axis: usize| (centre.from[axis] - centre.start[axis]).min(centre.to[axis]);
        Ok(ResizeShape {
            window: [size(0), size(1)],
            ..centre
        })
    }
}

augmentation_name!(RandomCrop);

impl LayerSpec for RandomCrop {
    fn kind(&self) -> &'static str {
        "RandomCrop"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let ResizeShape { to, channels, .. } = self.centre(input)?;
        Ok(vec![to[0], to[1], channels])
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        let centre = self.centre(&x.shape)?;
        if !b.augments() {
            return Ok(b.resize(x, centre));
        }
        let ([h, w], [height, width]) = (centre.from, centre.to);
        if h > height && w > width {
            return b.affine(x, AffinePart::Crop { to: centre.to }, None);
        }
        let beginning = self.beginning(&x.shape)?;
        Ok(b.resize(x, beginning))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inference_reads_the_largest_part_with_the_aspect_of_the_output() {
        let centre = |h, w, height, width| {
            let shape = RandomCrop::new(height, width).centre(&[h, w, 1]).unwrap();
            (shape.start, shape.window)
        };
        assert_eq!(centre(40, 40, 32, 32), ([0, 0], [40, 40]));
        assert_eq!(centre(8, 10, 4, 4), ([0, 1], [8, 8]));
        assert_eq!(centre(9, 4, 3, 2), ([1, 0], [6, 4]));
        assert_eq!(centre(8, 10, 12, 6), ([0, 3], [8, 4]));
        assert_eq!(centre(1, 9, 9, 1), ([0, 4], [1, 1]));
    }

    #[test]
    fn sizes_of_zero_and_very_large_ones_are_refused() {
        let error = |h, w| RandomCrop::new(h, w).output_shape(&[8, 8, 1]).unwrap_err();
        assert!(error(0, 3).contains("at least 1x1"));
        assert!(error(3, 40_000).contains("at most 32768"));
        for input in [[0, 8, 1], [8, 0, 1], [8, 8, 0]] {
            let error = RandomCrop::new(4, 4).output_shape(&input).unwrap_err();
            assert!(error.contains("at least 1x1x1"), "{error}");
        }
    }
}
