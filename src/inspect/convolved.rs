//! One convolution of one matrix.

use super::matrix::Matrix;
use super::outputs::layer_outputs;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::{Conv2D, Sequential};
use crate::state::{Layout, State};

/// Slides a filter over an image, with the kernels of training: `layer` gives the strides, the
/// padding and the dilation; the filter replaces its kernel, and it has no bias.
///
/// # Errors
/// An image smaller than a filter without padding, strides combined with a dilation, an image too
/// large for the device, or a device failure.
///
/// ```
/// use cnn_gpu::exec::{self, Backend, Selection};
/// use cnn_gpu::inspect::{Matrix, convolved};
/// use cnn_gpu::model::Conv2D;
/// use cnn_gpu::shape::Padding;
/// let device = exec::open(&Selection::new(Backend::Cpu))?;
/// let (image, filter): (Matrix, Matrix) = ("1,2;3,4".parse()?, "1,1;1,1".parse()?);
/// let layer = Conv2D::new(1, 2);
/// assert_eq!(convolved(&image, &filter, &layer, &device)?.values(), [10.0]);
/// let padded = convolved(&image, &filter, &layer.padding(Padding::Same), &device)?;
/// assert_eq!(padded.values(), [10.0, 6.0, 7.0, 4.0]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
pub fn convolved(
    image: &Matrix,
    filter: &Matrix,
    layer: &Conv2D,
    device: &Device,
) -> Result<Matrix> {
    let mut layer = layer.clone().name("convolution").use_bias(false);
    layer.filters = 1;
    layer.kernel_size = [filter.rows(), filter.columns()].into();
    let model = Sequential::new([image.rows(), image.columns(), 1]).add(layer);
    let mut state = State::new(Layout::new(&model)?, 0);
    state.set_parameter("convolution/kernel", filter.values())?;
    let output = layer_outputs(device, &model, &state, image.values())?.pop();
    match output {
        Some(output) => Matrix::new(output.shape.get(1).copied().unwrap_or(1), output.values),
        None => Err(Error::device("the convolution has no output")),
    }
}
