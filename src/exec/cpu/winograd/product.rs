//! The transformed product of tiles and a kernel, which is a convolution or its input gradient.

use pulp::{Arch, Simd, WithSimd};

use super::points::{Contract, Expand, POINTS, four};
use super::tiles::{TileRange, Tiles};
use crate::exec::cpu::tile::{MOST_ROWS, Walk, accumulate, lanes, most_rows, with_rows};

/// `contract(Σ expand(tile) ⊙ kernel)` for `count` tiles.
pub(super) struct TransformedProduct<'a, E, C> {
    pub(super) tiles: Tiles,
    pub(super) count: usize,
    pub(super) from: E,
    pub(super) to: C,
    /// The kernel, `[columns / width, POINTS, terms, width]` with a width of two vectors.
    pub(super) packed: &'a [f32],
    pub(super) scratch: &'a mut [f32],
}

/// Floats of scratch memory that a [`TransformedProduct`] needs.
pub(super) fn product_scratch(arch: Arch, from: usize) -> usize {
    // Enough for any processor: the largest block of rows, and two vectors of columns.
    POINTS * MOST_ROWS * (from.next_multiple_of(lanes(arch)) + 2 * lanes(arch))
}

impl<E: Expand, C: Contract> TransformedProduct<'_, E, C> {
    /// Computes it, some tiles at a time.
    pub(super) fn run(mut self, arch: Arch) {
        let (lanes, most) = (lanes(arch), most_rows(arch));
        let (terms, columns) = (self.from.channels(), self.to.channels());
        let padded = terms.next_multiple_of(lanes);
        let mut first = 0;
        while first < self.count {
            let left = self.count - first;
            let count = left.div_ceil(left.div_ceil(most));
            let tiles = TileRange {
                tiles: self.tiles,
                first,
                count,
            };
            let (values, sums) = self.scratch.split_at_mut(POINTS * count * padded);
            arch.dispatch(ExpandTiles {
                tiles,
                from: &self.from,
                values,
            });
            for column in (0..columns).step_by(2 * lanes) {
                let vectors = (columns - column).div_ceil(lanes).min(2);
                let kernel = &self.packed[column * POINTS * terms..];
                arch.dispatch(PointProducts {
                    values,
                    count,
                    terms,
                    padded,
                    kernel: &kernel[..POINTS * terms * 2 * lanes],
                    vectors,
                    sums,
                });
                arch.dispatch(ContractTiles {
                    tiles,
                    sums,
                    vectors,
                    column,
                    to: &mut self.to,
                });
            }
            first += count;
        }
    }
}

/// Transforms tiles into `values`, `[POINTS, tiles, channels]` with the channels padded to whole
/// vectors.
pub(super) struct ExpandTiles<'a, E> {
    pub(super) tiles: TileRange,
    pub(super) from: &'a E,
    pub(super) values: &'a mut [f32],
}

impl<E: Expand> WithSimd for ExpandTiles<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TileRange {
            tiles,
            first,
            count,
        } = self.tiles;
        let padded = self.from.channels().next_multiple_of(S::F32_LANES);
        for i in 0..count {
            let tile = tiles.tile(first + i);
            for channel in (0..padded).step_by(S::F32_LANES) {
                let points = self.from.expand(simd, &tile, channel);
                four!(ROW => four!(COLUMN => {
                    let at = ((4 * ROW + COLUMN) * count + i) * padded + channel;
                    let value = &mut self.values[at..at + S::F32_LANES];
                    S::as_mut_simd_f32s(value).0[0] = points[ROW][COLUMN];
                }));
            }
        }
    }
}

/// The product of each point's values with its kernel, for one or two vectors of columns:
/// `sums[point, tile, column] = Σ_term values[point, tile, term] * kernel[point, term, column]`.
struct PointProducts<'a> {
    values: &'a [f32],
    /// Number of tiles.
    count: usize,
    terms: usize,
    /// Stride from one tile's terms to the next one's.
    padded: usize,
    kernel: &'a [f32],
    vectors: usize,
    sums: &'a mut [f32],
}

impl WithSimd for PointProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.count;
        if self.vectors == 2 {
            with_rows!(S, count, M => self.rows::<S, M, 2>(simd));
        } else {
            with_rows!(S, count, M => self.rows::<S, M, 1>(simd));
        }
    }
}

impl PointProducts<'_> {
    #[inline(always)]
    fn rows<S: Simd, const M: usize, const V: usize>(self, simd: S) {
        let (terms, width) = (self.terms, 2 * S::F32_LANES);
        let walk = Walk {
            counts: [1, 1, terms],
            a: [0, 0, 1],
            b: [0, 0, width],
        };
        let mut rows = [0; M];
        for (m, row) in rows.iter_mut().enumerate() {
            *row = m * self.padded;
        }
        let zero = [simd.splat_f32s(0.0); V];
        let points = self.values.chunks_exact(M * self.padded);
        let kernels = self.kernel.chunks_exact(terms * width);
        let sums = self.sums.chunks_exact_mut(M * V * S::F32_LANES);
        for ((values, kernel), sums) in points.zip(kernels).zip(sums) {
            let found = accumulate::<S, M, V>(simd, values, rows, kernel, &walk, zero);
            let sums = S::as_mut_simd_f32s(sums).0;
            for (sums, found) in sums.chunks_exact_mut(V).zip(found) {
                sums.copy_from_slice(&found);
            }
        }
    }
}

/// Transforms the sums of [`PointProducts`] back and writes them.
struct ContractTiles<'a, C> {
    tiles: TileRange,
    sums: &'a [f32],
    vectors: usize,
    /// The first column.
    column: usize,
    to: &'a mut C,
}

impl<C: Contract> WithSimd for ContractTiles<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let TileRange {
            tiles,
            first,
            count,
        } = self.tiles;
        let sums = S::as_simd_f32s(self.sums).0;
        let point = count * self.vectors;
        for i in 0..count {
            let tile = tiles.tile(first + i);
            for v in 0..self.vectors {
                let sums = &sums[i * self.vectors + v..];
                let points = four!(ROW => four!(COLUMN => sums[(4 * ROW + COLUMN) * point]));
                let column = self.column + v * S::F32_LANES;
                self.to.contract(simd, &tile, column, points);
            }
        }
    }
}
