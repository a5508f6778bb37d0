//! Softmax.

use super::rows::{RowBlock, RowWise};
use crate::plan::{SoftmaxBackward, SoftmaxForward};

/// `y = softmax(x)`, row by row.
pub(super) fn forward(width: usize, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
        probabilities(x, y);
    }
}

/// `y = softmax(x)` of one row.
fn probabilities(x: &[f32], y: &mut [f32]) {
    let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for (x, y) in x.iter().zip(&mut *y) {
        *y = (x - largest).exp();
        total += *y;
    }
    y.iter_mut().for_each(|y| *y /= total);
}

/// `dx = y * (dy - Σ dy y)`, row by row, before any activation.
pub(super) fn backward(width: usize, dy: &[f32], y: &[f32], dx: &mut [f32]) {
    let rows = dy.chunks_exact(width).zip(y.chunks_exact(width));
    for ((dy, y), dx) in rows.zip(dx.chunks_exact_mut(width)) {
        let dot: f32 = dy.iter().zip(y).map(|(dy, y)| dy * y).sum();
        for ((dx, dy), y) in dx.iter_mut().zip(dy).zip(y) {
            *dx = y * (dy - dot);
        }
    }
}

impl RowWise for SoftmaxForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        block.write(self.y, |block, y| {
            forward(self.width, block.floats(self.x), y)
        });
    }
}

impl RowWise for SoftmaxBackward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        block.write(self.dx, |block, dx| {
            backward(self.width, block.floats(self.dy), block.floats(self.y), dx);
            block.through(self.through, dx);
        });
    }
}
