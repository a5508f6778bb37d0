//! The gradient of a max pool of 2x2 cells in place of the gradient of its input.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::vectors::{load, store};
use crate::plan::{BufferId, ConvShape};

/// Stands for the gradient of a convolution's output: the gradient of the pool of that output.
#[derive(Clone, Copy)]
pub struct UnpoolBuffers {
    /// The gradient of the convolution's output, which is not stored.
    pub dx: BufferId,
    /// Rows and columns of the pool's output.
    pub windows: [usize; 2],
    pub dy: BufferId,
    pub argmax: BufferId,
    /// The pool's output, if the convolution has a ReLU: no gradient where it is not positive.
    pub relu: Option<BufferId>,
}

/// The gradient of the output of a max pool of 2x2 cells, for some samples.
#[derive(Clone, Copy)]
pub struct PoolGradient<'a> {
    /// Rows and columns of the pool's output.
    pub windows: [usize; 2],
    /// The gradient, `[n, oh, ow, c]`.
    pub dy: &'a [f32],
    /// The index of each maximum in its window, from 0 to 3.
    pub argmax: &'a [u32],
    /// The pool's output, if no gradient passes where it is not positive.
    pub relu: Option<&'a [f32]>,
}

impl PoolGradient<'_> {
    /// Floats of the gradient of the convolution's output.
    pub fn unpooled_len(&self, shape: &ConvShape) -> usize {
        let [rows, columns] = self.windows;
        self.dy.len() / (rows * columns) * shape.window.oh * shape.window.ow
    }

    /// The gradient of a channel's vector in one window's four cells.
    #[inline(always)]
    pub fn cells<S: Simd>(&self, simd: S, range: Range<usize>) -> [[S::f32s; 2]; 2] {
        let zero = simd.splat_f32s(0.0);
        let dy = load(simd, &self.dy[range.clone()]);
        let dy = match self.relu {
            Some(y) => {
                let y = load(simd, &y[range.clone()]);
                simd.select_f32s(simd.less_than_f32s(zero, y), dy, zero)
            }
            None => dy,
        };
        let argmax = &self.argmax[range];
        let taken = match S::as_simd_u32s(argmax).0 {
            [whole] => *whole,
            _ => simd.partial_load_u32s(argmax),
        };
        let mut cells = [[zero; 2]; 2];
        for (tap, cell) in cells.as_flattened_mut().iter_mut().enumerate() {
            let is_taken = simd.equal_u32s(taken, simd.splat_u32s(tap as u32));
            *cell = simd.select_f32s(is_taken, dy, zero);
        }
        cells
    }

    /// Adds its sum over all windows to `dbias`.
    pub fn add_bias(&self, arch: Arch, dbias: &mut [f32]) {
        arch.dispatch(BiasGradient { of: *self, dbias });
    }

    /// Writes the gradient of the convolution's output.
    pub fn unpool(&self, arch: Arch, shape: &ConvShape, dx: &mut [f32]) {
        arch.dispatch(UnpoolCells {
            of: *self,
            shape,
            dx,
        });
    }
}

/// See [`PoolGradient::add_bias`].
struct BiasGradient<'a> {
    of: PoolGradient<'a>,
    dbias: &'a mut [f32],
}

impl WithSimd for BiasGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, dbias } = self;
        let channels = dbias.len();
        let zero = simd.splat_f32s(0.0);
        for first in (0..channels).step_by(S::F32_LANES) {
            let count = (channels - first).min(S::F32_LANES);
            let mut sum = load(simd, &dbias[first..first + count]);
            for start in (first..of.dy.len()).step_by(channels) {
                let dy = load(simd, &of.dy[start..start + count]);
                let dy = match of.relu {
                    Some(y) => {
                        let y = load(simd, &y[start..start + count]);
                        simd.select_f32s(simd.less_than_f32s(zero, y), dy, zero)
                    }
                    None => dy,
                };
                sum = simd.add_f32s(sum, dy);
            }
            store(simd, &mut dbias[first..first + count], sum);
        }
    }
}

/// See [`PoolGradient::unpool`].
struct UnpoolCells<'a> {
    of: PoolGradient<'a>,
    shape: &'a ConvShape,
    dx: &'a mut [f32],
}

impl WithSimd for UnpoolCells<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { of, shape, dx } = self;
        let (w, c) = (&shape.window, shape.oc);
        let [rows, columns] = of.windows;
        for (n, dx) in dx.chunks_exact_mut(w.oh * w.ow * c).enumerate() {
            // Beyond the last window.
            dx[2 * rows * w.ow * c..].fill(0.0);
            for (row, dx) in dx.chunks_exact_mut(2 * w.ow * c).take(rows).enumerate() {
                let (top, bottom) = dx.split_at_mut(w.ow * c);
                top[2 * columns * c..].fill(0.0);
                bottom[2 * columns * c..].fill(0.0);
                for column in 0..columns {
                    let window = ((n * rows + row) * columns + column) * c;
                    for first in (0..c).step_by(S::F32_LANES) {
                        let count = (c - first).min(S::F32_LANES);
                        let start = window + first;
                        let cells = of.cells(simd, start..start + count);
                        for (line, cells) in [&mut *top, &mut *bottom].into_iter().zip(cells) {
                            for (x, cell) in cells.into_iter().enumerate() {
                                let at = (2 * column + x) * c + first;
                                store(simd, &mut line[at..at + count], cell);
                            }
                        }
                    }
                }
            }
        }
    }
}
