//! Padding, which PyTorch's layers take only if opposite sides are equal.

use super::literals::pair;
use crate::error::{FormatError, Result};
use crate::shape::{Padding, Pair, Window};

/// Rows and columns around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EdgeCells {
    top: usize,
    bottom: usize,
    left: usize,
    right: usize,
}

impl EdgeCells {
    /// These rows above and below, and columns left and right.
    pub fn new([[top, bottom], [left, right]]: [[usize; 2]; 2]) -> Self {
        Self {
            top,
            bottom,
            left,
            right,
        }
    }

    /// The cells that windows over an image `[h, w, c]` need.
    pub fn of(
        input: &[usize],
        (kernel, dilation): (Pair, Pair),
        strides: Pair,
        padding: Padding,
    ) -> Result<Self, FormatError> {
        let &[ih, iw, _] = input else {
            return Err("expected an image".into());
        };
        let w = Window::dilated([ih, iw], (kernel, dilation), strides, padding)?;
        let after = |windows: usize, stride: usize, reach: usize, inside: usize| {
            ((windows - 1) * stride + reach).saturating_sub(inside)
        };
        let (reach_h, reach_w) = ((w.kh - 1) * w.dh + 1, (w.kw - 1) * w.dw + 1);
        Ok(Self {
            top: w.pad_top,
            bottom: after(w.oh, w.sh, reach_h, ih + w.pad_top),
            left: w.pad_left,
            right: after(w.ow, w.sw, reach_w, iw + w.pad_left),
        })
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        [self.top, self.bottom, self.left, self.right] == [0; 4]
    }

    /// `, padding=1`, if a layer can add the cells itself; nothing if there are none or it cannot.
    pub fn argument(self) -> String {
        match self.is_even() && !self.is_empty() {
            true => format!(", padding={}", pair([self.top, self.left].into())),
            false => String::new(),
        }
    }

    /// `x`, in `F.pad` unless a layer adds the cells itself.
    pub fn around(self, x: &str, value: &str) -> String {
        match self.is_even() {
            true => x.into(),
            false => format!("F.pad({x}, {}{value})", self.sides()),
        }
    }

    /// The cells as `F.pad` takes them.
    pub fn sides(self) -> String {
        let Self {
            top,
            bottom,
            left,
            right,
        } = self;
        format!("({left}, {right}, {top}, {bottom})")
    }

    /// Whether opposite sides have as many.
    pub fn is_even(self) -> bool {
        self.top == self.bottom && self.left == self.right
    }
}
