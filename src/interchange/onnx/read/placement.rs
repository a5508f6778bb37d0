//! Where windows are placed over an image.

use crate::shape::{Padding, Pair, Window};

/// Rows above and below an image, columns left and right of it.
pub(super) type Sides = [[usize; 2]; 2];

/// Windows over an image: like [`Window`], with any number of cells of padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub size: [usize; 2],
    pub strides: [usize; 2],
    pub dilation: [usize; 2],
    pub pads: Sides,
}

impl Placement {
    /// Windows of this size next to each other.
    pub fn tiles(size: [usize; 2]) -> Self {
        Self {
            size,
            strides: size,
            dilation: [1, 1],
            pads: [[0; 2]; 2],
        }
    }

    /// The number of windows over an image of this height and width; `None` if it is smaller than
    /// one.
    pub fn outputs(&self, image: [usize; 2]) -> Option<[usize; 2]> {
        let along = |axis: usize| {
            let [before, behind] = *self.pads.get(axis)?;
            let padded = image.get(axis)?.checked_add(before)?.checked_add(behind)?;
            let left = padded.checked_sub(self.reach(axis)?)?;
            left.checked_div(*self.strides.get(axis)?)?.checked_add(1)
        };
        Some([along(0)?, along(1)?])
    }

    /// The cells from the first one of a window to the last.
    pub fn reach(&self, axis: usize) -> Option<usize> {
        let gaps = self.size.get(axis)?.checked_sub(1)?;
        gaps.checked_mul(*self.dilation.get(axis)?)?.checked_add(1)
    }

    /// The padding for `ceil(in / stride)` windows, the odd cell at the end.
    pub fn same(&self, image: [usize; 2]) -> Option<Sides> {
        let kernel = (Pair(self.size), Pair(self.dilation));
        let window = Window::dilated(image, kernel, Pair(self.strides), Padding::Same).ok()?;
        let sides = |axis: usize, outputs: usize, before: usize| {
            let last = (outputs - 1).checked_mul(*self.strides.get(axis)?)?;
            let end = last.checked_add(self.reach(axis)?)?;
            let total = end.saturating_sub(*image.get(axis)?);
            Some([before, total.checked_sub(before)?])
        };
        Some([
            sides(0, window.oh, window.pad_top)?,
            sides(1, window.ow, window.pad_left)?,
        ])
    }

    /// Leaves out padding behind the image that none of its windows, so many, reaches, if that makes
    /// it padding that layers have.
    pub fn trim(&mut self, image: [usize; 2], outputs: [usize; 2]) {
        let mut trimmed = *self;
        for axis in [0, 1] {
            let end = self.end(axis, outputs[axis]);
            let [before, behind] = &mut trimmed.pads[axis];
            let reached = end.saturating_sub(image[axis].saturating_add(*before));
            *behind = reached.min(*behind);
        }
        if trimmed.is_valid() || trimmed.is_same(image) {
            *self = trimmed;
        }
    }

    /// The cells up to the end of the last of `windows`, those of the padding before the image too.
    fn end(&self, axis: usize, windows: usize) -> usize {
        let last = windows.saturating_sub(1).saturating_mul(self.strides[axis]);
        last.saturating_add(self.reach(axis).unwrap_or(usize::MAX))
    }

    /// Whether every window has a cell inside an image of this height and width.
    pub fn is_touching(&self, image: [usize; 2]) -> bool {
        let Some(outputs) = self.outputs(image) else {
            return false;
        };
        [0, 1].into_iter().all(|axis| {
            let [before, _] = self.pads[axis];
            let reach = self.reach(axis).unwrap_or(usize::MAX);
            let last = self.end(axis, outputs[axis]).saturating_sub(reach);
            before < reach && last < image[axis].saturating_add(before)
        })
    }

    /// Whether there is no padding.
    pub fn is_valid(&self) -> bool {
        self.pads == Sides::default()
    }

    /// Whether the padding is that of `same`.
    pub fn is_same(&self, image: [usize; 2]) -> bool {
        self.same(image) == Some(self.pads)
    }

    /// The padding as a layer has it, and the zeros that must be around the image before it.
    pub fn padding(&self, image: [usize; 2]) -> (Padding, Option<Sides>) {
        match () {
            () if self.is_valid() => (Padding::Valid, None),
            () if self.is_same(image) => (Padding::Same, None),
            () => (Padding::Valid, Some(self.pads)),
        }
    }

    /// The number of cells.
    pub fn taps(&self) -> f64 {
        let [height, width] = self.size;
        height as f64 * width as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placement(size: usize, stride: usize, pads: Sides) -> Placement {
        Placement {
            size: [size; 2],
            strides: [stride; 2],
            dilation: [1; 2],
            pads,
        }
    }

    #[test]
    fn padding_is_told_by_its_sides() {
        let image = [28, 28];
        let padding = |pads| placement(3, 2, pads).padding(image);
        assert_eq!(padding([[0, 0], [0, 0]]), (Padding::Valid, None));
        assert_eq!(padding([[0, 1], [0, 1]]), (Padding::Same, None));
        let other = [[1, 1], [1, 1]];
        assert_eq!(padding(other), (Padding::Valid, Some(other)));
        assert_eq!(placement(3, 2, other).outputs(image), Some([14, 14]));
    }

    #[test]
    fn windows_that_do_not_fit_have_no_outputs() {
        assert_eq!(placement(3, 1, Sides::default()).outputs([2, 5]), None);
        assert_eq!(placement(0, 1, Sides::default()).outputs([2, 5]), None);
        assert_eq!(placement(3, 0, Sides::default()).outputs([5, 5]), None);
        let huge = placement(3, 1, [[usize::MAX, 1], [0, 0]]);
        assert_eq!(huge.outputs([5, 5]), None);
    }
}
