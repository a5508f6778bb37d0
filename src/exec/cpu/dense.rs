//! Dense layers: convolutions whose image, kernel and output are one cell.

use crate::plan::ConvShape;
use crate::shape::Window;

/// A dense layer as a convolution.
pub(super) fn shape(inputs: usize, outputs: usize) -> ConvShape {
    ConvShape {
        window: Window {
            ih: 1,
            iw: 1,
            kh: 1,
            kw: 1,
            sh: 1,
            sw: 1,
            pad_top: 0,
            pad_left: 0,
            oh: 1,
            ow: 1,
        },
        ic: inputs,
        oc: outputs,
    }
}
