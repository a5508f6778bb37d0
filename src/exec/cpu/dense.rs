//! Dense layers: convolutions with a 1x1 image, kernel and output.

use crate::plan::ConvShape;
use crate::shape::Window;

/// A dense layer as a convolution.
pub(super) fn shape(inputs: usize, outputs: usize) -> ConvShape {
    let window = Window::framing([1, 1], [0, 0], [0, 0]);
    ConvShape::new(window, inputs, outputs)
}
