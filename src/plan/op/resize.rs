//! Bilinear resizing of a window of images.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// The window of an image that is read, and the size to which it is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResizeShape {
    /// Height and width of the image.
    pub from: [usize; 2],
    /// The window's first row and column.
    pub start: [usize; 2],
    /// Rows and columns of the window.
    pub window: [usize; 2],
    /// Height and width of the result.
    pub to: [usize; 2],
    /// Channels of both.
    pub channels: usize,
}

impl ResizeShape {
    /// The largest height or width of both images, for products in 32 bits.
    pub const MAX_SIDE: usize = 1 << 15;

    /// Whether it changes nothing.
    pub fn is_identity(&self) -> bool {
        self.window == self.from && self.window == self.to
    }

    /// The rows (axis 0) or columns (axis 1) of the image between which row or column `o` of the
    /// result lies, and the share of the second one.
    pub fn taps(&self, axis: usize, o: usize) -> ([usize; 2], f64) {
        let (start, len, to) = (self.start[axis], self.window[axis], self.to[axis]);
        // In units of 1 / (2 to) of a pixel.
        let place = ((2 * o + 1) * len).saturating_sub(to);
        let place = place.min((len - 1) * 2 * to);
        let first = place / (2 * to);
        let second = (first + 1).min(len - 1);
        let share = (place % (2 * to)) as f64 / (2 * to) as f64;
        ([start + first, start + second], share)
    }
}

/// `y[n, oy, ox] = bilinear x[n, sy, sx]` at the place of a pixel's centre in the window, without
/// smoothing; pixels outside of the window are the nearest within it:
///
/// ```text
/// sy = start[0] + clamp((oy + 1/2) * window[0] / to[0] - 1/2, 0, window[0] - 1), sx likewise
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeForward {
    /// The window and the sizes.
    pub shape: ResizeShape,
    /// The images, `[n, from, channels]`.
    pub x: BufferId,
    /// The resized windows, `[n, to, channels]`.
    pub y: BufferId,
}

/// `dx = f'(x) * Σ dy`, each with the share that the pixel has in the result; 0 outside of the window.
#[derive(Clone, Debug, PartialEq)]
pub struct ResizeBackward {
    /// The window and the sizes.
    pub shape: ResizeShape,
    /// The gradient of the result, `[n, to, channels]`.
    pub dy: BufferId,
    /// The gradient of the images, `[n, from, channels]`.
    pub dx: BufferId,
    /// The activation that produced the images.
    pub through: Option<Through>,
}

impl Builder {
    /// Adds the resizing of a window; returns `x` unchanged if that changes nothing.
    pub fn resize(&mut self, x: Value, shape: ResizeShape) -> Value {
        if shape.is_identity() {
            return x;
        }
        let [h, w] = shape.to;
        let y = self.value(vec![h, w, shape.channels], Activation::Linear);
        self.push(Op::ResizeForward(ResizeForward {
            shape,
            x: x.buffer,
            y: y.buffer,
        }));
        self.record(x, y.buffer, false, move |b, x, dy, _| {
            let dx = b.gradient_of(x);
            b.push(Op::ResizeBackward(ResizeBackward {
                shape,
                dy,
                dx,
                through: x.through(),
            }));
            dx
        });
        y
    }
}

impl Operation for ResizeForward {
    fn name(&self) -> &'static str {
        "resize_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        9 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }
}

impl Operation for ResizeBackward {
    fn name(&self) -> &'static str {
        "resize_backward"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.dy].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        8 * plan.elements(self.dy)
    }

    fn rounding(&self) -> Rounding {
        Rounding::of_sum_through(self.through)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_pixel_centres_in_the_window() {
        let shape = |window, to| ResizeShape {
            from: [9, 9],
            start: [2, 2],
            window: [window, 1],
            to: [to, 1],
            channels: 1,
        };
        for (window, to) in [(5, 5), (5, 3), (3, 5), (1, 4), (4, 1), (7, 2)] {
            let shape = shape(window, to);
            for o in 0..to {
                let ([first, second], share) = shape.taps(0, o);
                let place = (o as f64 + 0.5) * window as f64 / to as f64 - 0.5;
                let place = 2.0 + place.clamp(0.0, window as f64 - 1.0);
                assert!((first as f64 + share - place).abs() < 1e-12);
                assert!(second == first + 1 || (second == first && share == 0.0));
                assert!(first >= 2 && second < 2 + window);
            }
        }
    }
}
