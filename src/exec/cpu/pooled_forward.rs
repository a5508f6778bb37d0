//! A convolution and the max pool of its output, tile by tile of a product.

use pulp::{Arch, Simd, WithSimd};

use super::conv2d::{GridOffsets, bands, corners, frame_row, framed, framed_len};
use super::scratch;
use super::tile::{Bias, Finish, RowOffsets, Walk, accumulate, lanes, max_rows, with_rows};
use super::vectors::store_largest;
use crate::plan::ConvShape;
use crate::shape::Window;

/// `y = maxpool(f(x ⋆ w + bias))` for some samples, with pools of 2x2 cells.
pub(super) struct PooledForward<'a> {
    pub shape: &'a ConvShape,
    /// Rows and columns of the pool's output.
    pub windows: [usize; 2],
    pub relu: bool,
    /// Images, `[n, ih, iw, ic]`.
    pub x: &'a [f32],
    /// The kernel and the bias, as the algorithm packs them.
    pub packed: &'a [f32],
    /// The pool's output, `[n, oh, ow, oc]`.
    pub y: &'a mut [f32],
    /// Receives the index of each maximum in its window, from 0 to 3.
    pub argmax: Option<&'a mut [u32]>,
}

impl PooledForward<'_> {
    /// Computes it.
    pub fn run(mut self, arch: Arch) {
        let (window, ic, oc) = (&self.shape.window, self.shape.ic, self.shape.oc);
        let [oh, ow] = self.windows;
        let samples = self.y.len() / (oh * ow * oc);
        // A convolution that reads what each window of the pool needs.
        let reads = ConvShape {
            window: Window {
                kh: window.kh + window.sh,
                kw: window.kw + window.sw,
                sh: 2 * window.sh,
                sw: 2 * window.sw,
                oh,
                ow,
                ..*window
            },
            ..*self.shape
        };
        let terms = window.taps() * ic;
        let width = 2 * lanes(arch);
        let (kernel, bias) = self.packed.split_at(terms * oc.next_multiple_of(width));
        let (row, line) = (frame_row(&reads), window.kw * ic);
        scratch::with(framed_len(&reads, samples), |copy| {
            let a = framed(&reads, self.x, copy);
            for band in bands(&reads, samples, kernel.len()) {
                let cells = band.cells(&reads.window);
                let to = cells.start * oc..cells.end * oc;
                arch.dispatch(PooledProduct {
                    a: &a[band.corner(&reads)..],
                    kernel,
                    walk: Walk {
                        counts: [1, window.kh, line],
                        a: [0, row, 1],
                        b: [0, line * width, width],
                    },
                    windows: corners(&reads),
                    next: [window.sw * ic, window.sh * row],
                    count: cells.len(),
                    channels: oc,
                    finish: Bias {
                        bias,
                        relu: self.relu,
                    },
                    y: &mut self.y[to.clone()],
                    argmax: self.argmax.as_deref_mut().map(|argmax| &mut argmax[to]),
                });
            }
        });
    }
}

/// A product whose rows come in fours, of which the largest is stored.
struct PooledProduct<'a> {
    a: &'a [f32],
    kernel: &'a [f32],
    walk: Walk,
    /// Where each pool window's first cell reads and where its result is stored.
    windows: GridOffsets,
    /// From a cell of the pool's window to the next one, and to the one below, in `a`.
    next: [usize; 2],
    count: usize,
    channels: usize,
    finish: Bias<'a>,
    y: &'a mut [f32],
    argmax: Option<&'a mut [u32]>,
}

impl WithSimd for PooledProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let terms: usize = self.walk.counts.iter().product();
        for first in (0..self.channels).step_by(2 * S::F32_LANES) {
            let kernel = &self.kernel[first * terms..];
            if self.channels - first > S::F32_LANES {
                self.panel::<S, 2>(simd, kernel, first);
            } else {
                self.panel::<S, 1>(simd, kernel, first);
            }
        }
    }
}

impl PooledProduct<'_> {
    #[inline(always)]
    fn panel<S: Simd, const V: usize>(&mut self, simd: S, kernel: &[f32], first: usize) {
        let mut windows = self.windows.clone();
        let mut left = self.count;
        while left > 0 {
            let rows = 4 * left.min(max_rows::<S>() / 4);
            with_rows!(S, rows of 4 8 12, M => {
                self.tile::<S, M, V>(simd, kernel, first, &mut windows);
            });
            left -= rows / 4;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        kernel: &[f32],
        first: usize,
        windows: &mut GridOffsets,
    ) {
        let [right, below] = self.next;
        let mut rows = [0; M];
        let mut to = [0; M];
        for (rows, to) in rows.chunks_exact_mut(4).zip(to.chunks_exact_mut(4)) {
            let RowOffsets { a, c } = windows.next().unwrap_or_default();
            rows.copy_from_slice(&[a, a + right, a + below, a + below + right]);
            to[0] = c;
        }
        let mut start = [simd.splat_f32s(0.0); V];
        for (v, start) in start.iter_mut().enumerate() {
            *start = self.finish.start(simd, first + v * S::F32_LANES);
        }
        let sums = accumulate::<S, M, V>(simd, self.a, rows, kernel, &self.walk, start);
        for (sums, to) in sums.chunks_exact(4).zip(to.chunks_exact(4)) {
            for (v, &sum) in sums[0].iter().enumerate() {
                let column = first + v * S::F32_LANES;
                let mut cells = [sum, sums[1][v], sums[2][v], sums[3][v]];
                for cell in &mut cells {
                    *cell = self.finish.finish(simd, *cell, *cell);
                }
                let at = to[0] + column;
                let count = (self.channels - column).min(S::F32_LANES);
                let argmax = self.argmax.as_deref_mut().map(|a| &mut a[at..][..count]);
                store_largest(simd, cells, &mut self.y[at..][..count], argmax);
            }
        }
    }
}
