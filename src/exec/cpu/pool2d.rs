//! Max, average and sum pooling: the innermost loop runs over the channels, which are contiguous.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use super::vectors::{larger, load, store, store_words};
use crate::model::PoolKind;
use crate::plan::{Pool2dBackward, Pool2dForward, PoolShape};

/// The window of one output cell, clipped to the image: which of its cells are inside, and where
/// the first one is.
struct ClippedWindow {
    ky: Range<usize>,
    kx: Range<usize>,
    /// Input row and column of the whole window's cell (0, 0), including padding.
    top: usize,
    left: usize,
}

impl ClippedWindow {
    fn new(shape: &PoolShape, oy: usize, ox: usize) -> Self {
        let w = &shape.window;
        let (top, left) = (oy * w.sh, ox * w.sw);
        let real = |start: usize, pad: usize, size: usize, kernel: usize| {
            pad.saturating_sub(start)..(size + pad).saturating_sub(start).min(kernel)
        };
        Self {
            ky: real(top, w.pad_top, w.ih, w.kh),
            kx: real(left, w.pad_left, w.iw, w.kw),
            top,
            left,
        }
    }

    fn count(&self) -> usize {
        self.ky.len() * self.kx.len()
    }

    /// Calls `f` with the index and the input offset of each window cell inside the image, row by
    /// row.
    #[inline(always)]
    fn taps(&self, shape: &PoolShape, mut f: impl FnMut(u32, usize)) {
        let w = &shape.window;
        for ky in self.ky.clone() {
            let line = (self.top + ky - w.pad_top) * w.iw;
            for kx in self.kx.clone() {
                let ix = self.left + kx - w.pad_left;
                f((ky * w.kw + kx) as u32, (line + ix) * shape.c);
            }
        }
    }
}

/// Calls `f` with the window of each output cell and the cell's offset in `y`.
#[inline(always)]
fn windows(shape: &PoolShape, mut f: impl FnMut(ClippedWindow, usize)) {
    let w = &shape.window;
    for oy in 0..w.oh {
        for ox in 0..w.ow {
            f(
                ClippedWindow::new(shape, oy, ox),
                (oy * w.ow + ox) * shape.c,
            );
        }
    }
}

/// `y = pool(x)` for some samples; a max pool also stores the index of the cell it took.
pub(super) struct PoolSamples<'a> {
    pub shape: &'a PoolShape,
    pub x: &'a [f32],
    pub y: &'a mut [f32],
    pub argmax: Option<&'a mut [u32]>,
}

impl WithSimd for PoolSamples<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { shape, x, y, .. } = self;
        let (w, c) = (&shape.window, shape.c);
        let (inputs, outputs) = (w.ih * w.iw * c, w.oh * w.ow * c);
        let mut argmax = self.argmax.map(|a| a.chunks_exact_mut(outputs));
        for (x, y) in x.chunks_exact(inputs).zip(y.chunks_exact_mut(outputs)) {
            let mut argmax = argmax.as_mut().and_then(Iterator::next);
            windows(shape, |window, at| {
                let y = &mut y[at..][..c];
                match shape.kind {
                    PoolKind::Max => {
                        let argmax = argmax.as_deref_mut().map(|a| &mut a[at..][..c]);
                        max(simd, shape, &window, x, y, argmax);
                    }
                    PoolKind::Average => sum(shape, &window, x, y, window.count() as f32),
                    PoolKind::Sum => sum(shape, &window, x, y, 1.0),
                }
            });
        }
    }
}

#[inline(always)]
fn sum(shape: &PoolShape, window: &ClippedWindow, x: &[f32], y: &mut [f32], divisor: f32) {
    y.fill(0.0);
    window.taps(shape, |_, from| {
        for (y, x) in y.iter_mut().zip(&x[from..][..shape.c]) {
            *y += x;
        }
    });
    y.iter_mut().for_each(|y| *y /= divisor);
}

/// The maximum of each channel and its index. Explicit vectors are four times as fast here as
/// auto-vectorised arrays.
#[inline(always)]
fn max<S: Simd>(
    simd: S,
    shape: &PoolShape,
    window: &ClippedWindow,
    x: &[f32],
    y: &mut [f32],
    mut argmax: Option<&mut [u32]>,
) {
    let w = &shape.window;
    for c in (0..shape.c).step_by(S::F32_LANES) {
        let channels = c..shape.c.min(c + S::F32_LANES);
        // Less than any number; the first cell inside the image still wins unless another one is
        // larger.
        let mut best = simd.splat_f32s(f32::NEG_INFINITY);
        let mut taken = simd.splat_u32s((window.ky.start * w.kw + window.kx.start) as u32);
        for ky in window.ky.clone() {
            let line = (window.top + ky - w.pad_top) * w.iw;
            for kx in window.kx.clone() {
                let from = (line + window.left + kx - w.pad_left) * shape.c;
                let x = load(simd, &x[from + channels.start..from + channels.end]);
                let tap = simd.splat_u32s((ky * w.kw + kx) as u32);
                (best, taken) = larger(simd, (best, taken), (x, tap));
            }
        }
        store(simd, &mut y[channels.clone()], best);
        if let Some(argmax) = argmax.as_deref_mut() {
            store_words(simd, &mut argmax[channels], taken);
        }
    }
}

/// `dx` for some samples, before any activation.
pub(super) struct UnpoolSamples<'a> {
    pub shape: &'a PoolShape,
    pub dy: &'a [f32],
    pub argmax: Option<&'a [u32]>,
    pub dx: &'a mut [f32],
}

impl WithSimd for UnpoolSamples<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            shape,
            dy,
            argmax,
            dx,
        } = self;
        let (w, c) = (&shape.window, shape.c);
        let (inputs, outputs) = (w.ih * w.iw * c, w.oh * w.ow * c);
        dx.fill(0.0);
        for (n, dx) in dx.chunks_exact_mut(inputs).enumerate() {
            let dy = &dy[n * outputs..][..outputs];
            let argmax = argmax.map(|a| &a[n * outputs..][..outputs]);
            windows(shape, |window, at| {
                let dy = &dy[at..][..c];
                match (shape.kind, argmax) {
                    (PoolKind::Max, Some(argmax)) => {
                        give_to_largest(shape, &window, dy, &argmax[at..][..c], dx);
                    }
                    // A max pool in training always has an argmax.
                    (PoolKind::Max, None) => {}
                    (PoolKind::Average, _) => {
                        give_to_all(shape, &window, dy, 1.0 / window.count() as f32, dx);
                    }
                    (PoolKind::Sum, _) => give_to_all(shape, &window, dy, 1.0, dx),
                }
            });
        }
    }
}

#[inline(always)]
fn give_to_all(shape: &PoolShape, window: &ClippedWindow, dy: &[f32], share: f32, dx: &mut [f32]) {
    window.taps(shape, |_, to| {
        for (dx, dy) in dx[to..][..shape.c].iter_mut().zip(dy) {
            *dx += dy * share;
        }
    });
}

#[inline(always)]
fn give_to_largest(
    shape: &PoolShape,
    window: &ClippedWindow,
    dy: &[f32],
    argmax: &[u32],
    dx: &mut [f32],
) {
    window.taps(shape, |tap, to| {
        let cells = dx[to..][..shape.c].iter_mut().zip(dy).zip(argmax);
        for ((dx, dy), taken) in cells {
            // Branch-free, so that the loop vectorises; a NaN goes to its own cell only.
            let mask = u32::from(*taken == tap).wrapping_neg();
            *dx += f32::from_bits(dy.to_bits() & mask);
        }
    });
}

impl RowWise for Pool2dForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, shape) = (block.arch(), &self.shape);
        block.write(self.y, |block, y| match self.argmax {
            Some(argmax) => {
                block.write_words(argmax, |block, argmax| {
                    arch.dispatch(PoolSamples {
                        shape,
                        x: block.floats(self.x),
                        y,
                        argmax: Some(argmax),
                    });
                });
            }
            None => arch.dispatch(PoolSamples {
                shape,
                x: block.floats(self.x),
                y,
                argmax: None,
            }),
        });
    }
}

impl RowWise for Pool2dBackward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let arch = block.arch();
        block.write(self.dx, |block, dx| {
            arch.dispatch(UnpoolSamples {
                shape: &self.shape,
                dy: block.floats(self.dy),
                argmax: self.argmax.map(|id| block.words(id)),
                dx: &mut *dx,
            });
            block.through(self.through, dx);
        });
    }
}
