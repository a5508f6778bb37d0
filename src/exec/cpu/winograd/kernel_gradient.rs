//! The gradient of the kernel.

use pulp::{Arch, Simd, WithSimd};

use super::expand::Patches;
use super::points::{Expand, POINTS, Points, four, load, store, vector};
use super::product::ExpandTiles;
use super::tiles::{TileRange, Tiles};
use crate::exec::cpu::tile::{Walk, accumulate, lanes, max_rows, with_rows};
use crate::plan::ConvShape;

/// Adds `Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G` over `count` tiles to `dw`.
pub(super) struct TransformedKernelGradient<'a, E> {
    pub(super) tiles: Tiles,
    pub(super) count: usize,
    pub(super) x: Patches<'a>,
    pub(super) dy: E,
    pub(super) dw: &'a mut [f32],
    pub(super) scratch: &'a mut [f32],
}

/// Tiles that the kernel gradient transforms at a time: their transformed values take half a
/// megabyte, to stay in a core's cache beside the sums. Independent of the vectors' length, as the order of the
/// sum depends on it.
fn tiles_at_a_time(shape: &ConvShape) -> usize {
    (8192 / (shape.ic + shape.oc)).max(16)
}

/// Floats of scratch memory that a [`TransformedKernelGradient`] needs.
pub(super) fn gradient_scratch(arch: Arch, shape: &ConvShape, count: usize) -> usize {
    let [ic, oc] = [shape.ic, shape.oc].map(|c| c.next_multiple_of(lanes(arch)));
    POINTS * (count.min(tiles_at_a_time(shape)) * (ic + oc) + shape.ic * oc)
}

impl<E: Expand> TransformedKernelGradient<'_, E> {
    /// Computes it, some tiles at a time.
    pub(super) fn run(self, arch: Arch) {
        if self.count == 0 {
            return;
        }
        let (ic, oc) = (self.x.channels, self.dy.channels());
        let [ic_padded, oc_padded] = [ic, oc].map(|c| c.next_multiple_of(lanes(arch)));
        let shape = ConvShape::new(self.tiles.window, ic, oc);
        let step = tiles_at_a_time(&shape);
        let (sums, values) = self.scratch.split_at_mut(POINTS * ic * oc_padded);
        for first in (0..self.count).step_by(step) {
            let count = step.min(self.count - first);
            let (x, dy) = values.split_at_mut(POINTS * count * ic_padded);
            let dy = &mut dy[..POINTS * count * oc_padded];
            let tiles = TileRange {
                tiles: self.tiles,
                first,
                count,
            };
            arch.dispatch(ExpandTiles {
                tiles,
                from: &self.x,
                values: x,
            });
            arch.dispatch(ExpandTiles {
                tiles,
                from: &self.dy,
                values: dy,
            });
            let points = x
                .chunks_exact(count * ic_padded)
                .zip(dy.chunks_exact(count * oc_padded));
            for ((x, dy), sums) in points.zip(sums.chunks_exact_mut(ic * oc_padded)) {
                arch.dispatch(PointGradient {
                    x,
                    dy,
                    count,
                    ic,
                    ic_padded,
                    oc_padded,
                    add: first > 0,
                    sums,
                });
            }
        }
        arch.dispatch(ContractKernel {
            sums,
            ic,
            oc,
            dw: self.dw,
        });
    }
}

/// The sums of one point over some tiles.
struct PointGradient<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    /// Number of tiles.
    count: usize,
    ic: usize,
    ic_padded: usize,
    oc_padded: usize,
    /// Whether to add to the current sums.
    add: bool,
    sums: &'a mut [f32],
}

impl WithSimd for PointGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for column in (0..self.oc_padded).step_by(2 * S::F32_LANES) {
            if self.oc_padded - column > S::F32_LANES {
                self.columns::<S, 2>(simd, column);
            } else {
                self.columns::<S, 1>(simd, column);
            }
        }
    }
}

impl PointGradient<'_> {
    #[inline(always)]
    fn columns<S: Simd, const V: usize>(&mut self, simd: S, column: usize) {
        let mut first = 0;
        while first < self.ic {
            let left = self.ic - first;
            let m = left.div_ceil(left.div_ceil(max_rows::<S>()));
            with_rows!(S, m, M => self.rows::<S, M, V>(simd, first, column));
            first += m;
        }
    }

    #[inline(always)]
    fn rows<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        first: usize,
        column: usize,
    ) {
        let walk = Walk {
            counts: [1, 1, self.count],
            a: [0, 0, self.ic_padded],
            b: [0, 0, self.oc_padded],
        };
        let mut rows = [first; M];
        for (m, row) in rows.iter_mut().enumerate() {
            *row += m;
        }
        let zero = [simd.splat_f32s(0.0); V];
        let dy = &self.dy[column..];
        let found = accumulate::<S, M, V>(simd, self.x, rows, dy, &walk, zero);
        for (m, found) in found.into_iter().enumerate() {
            let at = (first + m) * self.oc_padded + column;
            let sums = S::as_mut_simd_f32s(&mut self.sums[at..][..V * S::F32_LANES]).0;
            for (sum, found) in sums.iter_mut().zip(found) {
                *sum = if self.add {
                    simd.add_f32s(*sum, found)
                } else {
                    found
                };
            }
        }
    }
}

/// Adds `Gᵀ sums G` to `dw`.
struct ContractKernel<'a> {
    /// `[POINTS, ic, oc]`, with `oc` padded to whole vectors.
    sums: &'a [f32],
    ic: usize,
    oc: usize,
    dw: &'a mut [f32],
}

impl WithSimd for ContractKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (ic, oc) = (self.ic, self.oc);
        let oc_padded = oc.next_multiple_of(S::F32_LANES);
        let half = simd.splat_f32s(0.5);
        for i in 0..ic {
            for o in (0..oc_padded).step_by(S::F32_LANES) {
                let point = ic * oc_padded;
                let sums = &self.sums[i * oc_padded + o..];
                let u: Points<S> = four!(ROW => {
                    let sums = &sums[4 * ROW * point..];
                    four!(COLUMN => vector::<S>(sums, COLUMN * point))
                });
                let [a, b, c, d] = four!(COLUMN => {
                    contract_kernel(simd, half, four!(ROW => u[ROW][COLUMN]))
                });
                for row in 0..3 {
                    let w = contract_kernel(simd, half, [a[row], b[row], c[row], d[row]]);
                    for (column, w) in w.into_iter().enumerate() {
                        let cell = (row * 3 + column) * ic + i;
                        let old = load(simd, self.dw, oc, cell, o);
                        store(simd, self.dw, oc, cell, o, simd.add_f32s(old, w));
                    }
                }
            }
        }
    }
}

/// `Gᵀ u`.
#[inline(always)]
fn contract_kernel<S: Simd>(simd: S, half: S::f32s, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 3] {
    let sum = simd.mul_f32s(half, simd.add_f32s(b, c));
    let difference = simd.mul_f32s(half, simd.sub_f32s(b, c));
    [simd.add_f32s(a, sum), difference, simd.add_f32s(sum, d)]
}
