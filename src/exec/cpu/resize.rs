//! Resizing.

use super::rows::{RowBlock, RowWise};
use crate::plan::{ResizeBackward, ResizeForward, ResizeShape};

/// The rows or columns that each row or column of the result reads, and the share of the second.
fn taps(shape: &ResizeShape, axis: usize) -> Vec<([usize; 2], f32)> {
    let all = (0..shape.to[axis]).map(|o| shape.taps(axis, o));
    all.map(|(pixels, share)| (pixels, share as f32)).collect()
}

impl RowWise for ResizeForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let ([h, w], [oh, ow], c) = (self.shape.from, self.shape.to, self.shape.channels);
        let (rows, columns) = (taps(&self.shape, 0), taps(&self.shape, 1));
        block.write(self.y, |block, y| {
            let images = block.floats(self.x).chunks_exact(h * w * c);
            for (x, y) in images.zip(y.chunks_exact_mut(oh * ow * c)) {
                for (([top, bottom], fy), y) in rows.iter().zip(y.chunks_exact_mut(ow * c)) {
                    let row = |iy: usize| &x[iy * w * c..(iy + 1) * w * c];
                    let (above, below) = (row(*top), row(*bottom));
                    for (([left, right], fx), y) in columns.iter().zip(y.chunks_exact_mut(c)) {
                        for (channel, y) in y.iter_mut().enumerate() {
                            let [l, r] = [left * c + channel, right * c + channel];
                            let mix = |row: &[f32]| (1.0 - fx) * row[l] + fx * row[r];
                            *y = (1.0 - fy) * mix(above) + fy * mix(below);
                        }
                    }
                }
            }
        });
    }
}

impl RowWise for ResizeBackward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let ([h, w], [oh, ow], c) = (self.shape.from, self.shape.to, self.shape.channels);
        let (rows, columns) = (taps(&self.shape, 0), taps(&self.shape, 1));
        block.write(self.dx, |block, dx| {
            dx.fill(0.0);
            let gradients = block.floats(self.dy).chunks_exact(oh * ow * c);
            for (dx, dy) in dx.chunks_exact_mut(h * w * c).zip(gradients) {
                for (([top, bottom], fy), dy) in rows.iter().zip(dy.chunks_exact(ow * c)) {
                    for (([left, right], fx), dy) in columns.iter().zip(dy.chunks_exact(c)) {
                        for (iy, wy) in [(top, 1.0 - fy), (bottom, *fy)] {
                            for (ix, wx) in [(left, 1.0 - fx), (right, *fx)] {
                                let pixel = &mut dx[(iy * w + ix) * c..][..c];
                                for (dx, dy) in pixel.iter_mut().zip(dy) {
                                    *dx += wy * wx * dy;
                                }
                            }
                        }
                    }
                }
            }
            block.through(self.through, dx);
        });
    }
}
