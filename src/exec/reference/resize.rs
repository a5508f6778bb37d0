//! Resizing.

use super::{Definition, at, put_gradient, rounded};
use crate::exec::host::Memory;
use crate::plan::{ResizeBackward, ResizeForward, ResizeShape};

/// Calls `each` with every cell of the result, each of its four pixels and their shares.
fn each_tap(shape: &ResizeShape, batch: usize, mut each: impl FnMut(usize, usize, f64)) {
    let ([h, w], [oh, ow], c) = (shape.from, shape.to, shape.channels);
    for row in 0..batch {
        for oy in 0..oh {
            for ox in 0..ow {
                let ([top, bottom], fy) = shape.taps(0, oy);
                let ([left, right], fx) = shape.taps(1, ox);
                for (iy, wy) in [(top, 1.0 - fy), (bottom, fy)] {
                    for (ix, wx) in [(left, 1.0 - fx), (right, fx)] {
                        for channel in 0..c {
                            let cell = at([batch, oh, ow, c], [row, oy, ox, channel]);
                            let pixel = at([batch, h, w, c], [row, iy, ix, channel]);
                            each(cell, pixel, wy * wx);
                        }
                    }
                }
            }
        }
    }
}

impl Definition for ResizeForward {
    fn run(&self, m: &mut Memory<'_>) {
        let x = m.floats(self.x);
        let [oh, ow] = self.shape.to;
        let mut y = vec![0.0; m.batch * oh * ow * self.shape.channels];
        each_tap(&self.shape, m.batch, |cell, pixel, share| {
            y[cell] += share * f64::from(x[pixel]);
        });
        m.put(self.y, rounded(y));
    }
}

impl Definition for ResizeBackward {
    fn run(&self, m: &mut Memory<'_>) {
        let dy = m.floats(self.dy);
        let [h, w] = self.shape.from;
        let mut dx = vec![0.0; m.batch * h * w * self.shape.channels];
        each_tap(&self.shape, m.batch, |cell, pixel, share| {
            dx[pixel] += share * f64::from(dy[cell]);
        });
        put_gradient(m, self.dx, dx, self.through.as_ref());
    }
}
