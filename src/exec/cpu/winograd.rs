//! Convolutions with 3x3 kernels and stride 1 by Winograd's minimal filtering F(2x2, 3x3).
//!
//! Each 4x4 patch `d` of the input gives a 2x2 tile of the output, with 16 multiplications per pair
//! of channels in place of 36:
//!
//! `y = Aᵀ [ Σ_ic (G g Gᵀ) ⊙ (Bᵀ d B) ] A`
//!
//! The sums over the channels are 16 matrix products, one for each point of the transformed tile,
//! computed by [`tile`](super::tile). Both gradients are the adjoint of this map, with the same
//! tiles and as few multiplications: with `m = A dy Aᵀ`,
//! - `dx = B [ Σ_oc (G g Gᵀ) ⊙ m ] Bᵀ`, added up where patches overlap;
//! - `dg = Gᵀ [ Σ (Bᵀ d B) ⊙ m ] G`, summed over all tiles.
//!
//! All constants are 1, -1 and 1/2, so the result is about as exact as a direct sum. A NaN reaches
//! the outputs whose windows contain it, as in a direct sum. An infinite input makes NaNs of outputs
//! that would be infinite.
//!
//! Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015,
//! arXiv:1509.09308.

use pulp::{Arch, Simd, WithSimd};

use super::pool_gradient::PoolGradient;
use super::pooled_forward::PooledForward;
use super::scratch;
use super::tile::{MOST_ROWS, Walk, accumulate, lanes, max_rows, most_rows, with_rows};
use super::vectors::store_largest;
use crate::plan::ConvShape;
use crate::shape::Window;

/// Values of a transformed tile.
const POINTS: usize = 16;

/// Minimum channels on either side: with fewer, the transforms cost more than they save.
const MIN_CHANNELS: usize = 12;

/// Minimum number of tiles in an image: with fewer, reading the transformed kernel, which is larger,
/// costs more than is saved.
const MIN_TILES: usize = 9;

/// Whether convolutions of this shape are computed here.
pub(super) fn applies(shape: &ConvShape) -> bool {
    let w = &shape.window;
    shape.is_plain()
        && (w.kh, w.kw, w.sh, w.sw) == (3, 3, 1, 1)
        && shape.ic.min(shape.oc) >= MIN_CHANNELS
        && Tiles::new(w).per_sample() >= MIN_TILES
}

/// The 2x2 tiles of the output.
#[derive(Clone, Copy)]
struct Tiles {
    window: Window,
    rows: usize,
    columns: usize,
}

/// One tile, and the patch of the input that it reads.
#[derive(Clone, Copy, Default)]
struct WinogradTile {
    /// Its place among all tiles.
    index: usize,
    sample: usize,
    /// Row and column of its first output cell.
    y: usize,
    x: usize,
    /// Whether its patch lies within the image and its cells within the output.
    whole: bool,
}

impl Tiles {
    /// Tiles that cover the output.
    fn new(window: &Window) -> Self {
        Self::grid(window, [window.oh.div_ceil(2), window.ow.div_ceil(2)])
    }

    /// Rows and columns of tiles.
    fn grid(window: &Window, [rows, columns]: [usize; 2]) -> Self {
        Self {
            window: *window,
            rows,
            columns,
        }
    }

    fn per_sample(&self) -> usize {
        self.rows * self.columns
    }

    /// The tile with this index among those of all samples.
    #[inline(always)]
    fn tile(&self, index: usize) -> WinogradTile {
        let w = &self.window;
        let (sample, place) = (index / self.per_sample(), index % self.per_sample());
        let (y, x) = (place / self.columns * 2, place % self.columns * 2);
        WinogradTile {
            index,
            sample,
            y,
            x,
            whole: w.pad_top <= y
                && y + 4 <= w.ih + w.pad_top
                && w.pad_left <= x
                && x + 4 <= w.iw + w.pad_left
                && y + 2 <= w.oh
                && x + 2 <= w.ow,
        }
    }

    /// The index of the first cell of a whole tile's patch among the cells of all images.
    #[inline(always)]
    fn first_patch_cell(&self, tile: &WinogradTile) -> usize {
        let w = &self.window;
        (tile.sample * w.ih + tile.y - w.pad_top) * w.iw + tile.x - w.pad_left
    }

    /// The index of a cell of the tile's patch among the cells of all images, if it lies within its
    /// image.
    #[inline(always)]
    fn patch_cell(&self, tile: &WinogradTile, row: usize, column: usize) -> Option<usize> {
        let w = &self.window;
        let iy = (tile.y + row).wrapping_sub(w.pad_top);
        let ix = (tile.x + column).wrapping_sub(w.pad_left);
        (tile.whole || (iy < w.ih && ix < w.iw)).then(|| (tile.sample * w.ih + iy) * w.iw + ix)
    }

    /// The index of the tile's first cell among the cells of all outputs.
    #[inline(always)]
    fn first_output_cell(&self, tile: &WinogradTile) -> usize {
        let w = &self.window;
        (tile.sample * w.oh + tile.y) * w.ow + tile.x
    }

    /// The index of one of the tile's cells among the cells of all outputs, if it exists.
    #[inline(always)]
    fn output_cell(&self, tile: &WinogradTile, row: usize, column: usize) -> Option<usize> {
        let w = &self.window;
        let (oy, ox) = (tile.y + row, tile.x + column);
        (tile.whole || (oy < w.oh && ox < w.ow)).then(|| (tile.sample * w.oh + oy) * w.ow + ox)
    }
}

/// An array of an expression's values for the constants 0 to 3. Unlike a loop or a closure, it is
/// certain to keep vectors in registers.
macro_rules! four {
    ($i:ident => $value:expr) => {
        [
            {
                const $i: usize = 0;
                $value
            },
            {
                const $i: usize = 1;
                $value
            },
            {
                const $i: usize = 2;
                $value
            },
            {
                const $i: usize = 3;
                $value
            },
        ]
    };
}

/// The values of a transformed tile in a vector of channels, row by row.
type Points<S> = [[<S as Simd>::f32s; 4]; 4];

/// Reads a tile's values and transforms them.
trait Expand {
    /// Channels of what it reads.
    fn channels(&self) -> usize;

    /// The transformed values of the vector of channels that starts with `channel`; zero beyond the
    /// last channel.
    fn expand<S: Simd>(&self, simd: S, tile: &WinogradTile, channel: usize) -> Points<S>;
}

/// Transforms a tile's sums back and writes the result.
trait Contract {
    /// Channels of what it writes.
    fn channels(&self) -> usize;

    /// Writes a vector of channels.
    fn contract<S: Simd>(&mut self, simd: S, tile: &WinogradTile, channel: usize, sums: Points<S>);
}

/// The vector that starts at `first`.
#[inline(always)]
fn vector<S: Simd>(values: &[f32], first: usize) -> S::f32s {
    S::as_simd_f32s(&values[first..first + S::F32_LANES]).0[0]
}

/// A vector of the `channels` of a cell, from `channel` on.
#[inline(always)]
fn load<S: Simd>(simd: S, values: &[f32], channels: usize, cell: usize, channel: usize) -> S::f32s {
    let first = cell * channels + channel;
    if channel + S::F32_LANES <= channels {
        return vector::<S>(values, first);
    }
    simd.partial_load_f32s(&values[first..first + channels - channel])
}

/// The counterpart of [`load`].
#[inline(always)]
fn store<S: Simd>(
    simd: S,
    values: &mut [f32],
    channels: usize,
    cell: usize,
    channel: usize,
    value: S::f32s,
) {
    let first = cell * channels + channel;
    if channel + S::F32_LANES <= channels {
        // Full vectors use plain stores: masked stores are slow on some processors.
        S::as_mut_simd_f32s(&mut values[first..first + S::F32_LANES]).0[0] = value;
    } else {
        simd.partial_store_f32s(&mut values[first..first + channels - channel], value);
    }
}

/// Reads patches of the images: `Bᵀ d B`.
struct Patches<'a> {
    tiles: Tiles,
    channels: usize,
    /// `[n, ih, iw, channels]`.
    x: &'a [f32],
}

impl Patches<'_> {
    /// `Bᵀ d`.
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
        [
            simd.sub_f32s(a, c),
            simd.add_f32s(b, c),
            simd.sub_f32s(c, b),
            simd.sub_f32s(b, d),
        ]
    }
}

impl Expand for Patches<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn expand<S: Simd>(&self, simd: S, tile: &WinogradTile, channel: usize) -> Points<S> {
        let Self { tiles, channels, x } = *self;
        let d: Points<S> = if tile.whole && channel + S::F32_LANES <= channels {
            let first = tiles.first_patch_cell(tile) * channels + channel;
            let line = tiles.window.iw * channels;
            four!(ROW => {
                let row = &x[first + ROW * line..];
                four!(COLUMN => vector::<S>(row, COLUMN * channels))
            })
        } else {
            four!(ROW => four!(COLUMN => match tiles.patch_cell(tile, ROW, COLUMN) {
                Some(cell) => load(simd, x, channels, cell, channel),
                None => simd.splat_f32s(0.0),
            }))
        };
        let columns = four!(I => Self::column(simd, [d[0][I], d[1][I], d[2][I], d[3][I]]));
        let [a, b, c, d] = columns;
        four!(I => Self::column(simd, [a[I], b[I], c[I], d[I]]))
    }
}

/// Reads the gradient of the output: `A dy Aᵀ`.
struct Gradients<'a> {
    tiles: Tiles,
    channels: usize,
    dy: &'a [f32],
}

impl Expand for Gradients<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn expand<S: Simd>(&self, simd: S, tile: &WinogradTile, channel: usize) -> Points<S> {
        let Self {
            tiles,
            channels,
            dy,
        } = *self;
        let zero = simd.splat_f32s(0.0);
        let mut cells = [[zero; 2]; 2];
        if tile.whole && channel + S::F32_LANES <= channels {
            let first = tiles.first_output_cell(tile) * channels + channel;
            let top = &dy[first..];
            let bottom = &top[tiles.window.ow * channels..];
            cells = [
                [vector::<S>(top, 0), vector::<S>(top, channels)],
                [vector::<S>(bottom, 0), vector::<S>(bottom, channels)],
            ];
        } else {
            for (row, cells) in cells.iter_mut().enumerate() {
                for (column, value) in cells.iter_mut().enumerate() {
                    if let Some(cell) = tiles.output_cell(tile, row, column) {
                        *value = load(simd, dy, channels, cell, channel);
                    }
                }
            }
        }
        expand_gradient(simd, cells)
    }
}

/// Reads the gradient of the pool of the output: `A dy Aᵀ`.
struct PoolGradients<'a> {
    channels: usize,
    gradient: PoolGradient<'a>,
}

impl Expand for PoolGradients<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn expand<S: Simd>(&self, simd: S, tile: &WinogradTile, channel: usize) -> Points<S> {
        let first = tile.index * self.channels + channel;
        let range = first..first + (self.channels - channel).min(S::F32_LANES);
        expand_gradient(simd, self.gradient.cells(simd, range))
    }
}

/// `A dy Aᵀ`.
#[inline(always)]
fn expand_gradient<S: Simd>(simd: S, [top, bottom]: [[S::f32s; 2]; 2]) -> Points<S> {
    let zero = simd.splat_f32s(0.0);
    let rows = [
        top,
        [
            simd.add_f32s(top[0], bottom[0]),
            simd.add_f32s(top[1], bottom[1]),
        ],
        [
            simd.sub_f32s(top[0], bottom[0]),
            simd.sub_f32s(top[1], bottom[1]),
        ],
        [
            simd.sub_f32s(zero, bottom[0]),
            simd.sub_f32s(zero, bottom[1]),
        ],
    ];
    four!(ROW => {
        let [a, b] = rows[ROW];
        [a, simd.add_f32s(a, b), simd.sub_f32s(a, b), simd.sub_f32s(zero, b)]
    })
}

/// Writes the output: `f(Aᵀ m A + bias)`.
struct Outputs<'a> {
    tiles: Tiles,
    channels: usize,
    /// Padded to whole vectors.
    bias: &'a [f32],
    relu: bool,
    y: &'a mut [f32],
}

/// `Aᵀ m`.
#[inline(always)]
fn contract_output<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 2] {
    [
        simd.add_f32s(simd.add_f32s(a, b), c),
        simd.sub_f32s(simd.sub_f32s(b, c), d),
    ]
}

impl Outputs<'_> {
    /// The values of the tile's cells.
    #[inline(always)]
    fn cells<S: Simd>(&self, simd: S, channel: usize, m: Points<S>) -> [[S::f32s; 2]; 2] {
        let bias = load(simd, self.bias, self.bias.len(), 0, channel);
        let zero = simd.splat_f32s(0.0);
        let [a, b, c, d] = four!(I => contract_output(simd, [m[0][I], m[1][I], m[2][I], m[3][I]]));
        let mut cells = [
            contract_output(simd, [a[0], b[0], c[0], d[0]]),
            contract_output(simd, [a[1], b[1], c[1], d[1]]),
        ];
        for sum in cells.as_flattened_mut() {
            *sum = simd.add_f32s(*sum, bias);
            if self.relu {
                // Not a maximum: NaN is not less than zero, and stays.
                *sum = simd.select_f32s(simd.less_than_f32s(*sum, zero), zero, *sum);
            }
        }
        cells
    }
}

/// Writes the maximum of each tile: `maxpool(f(Aᵀ m A + bias))`.
struct PooledOutputs<'a> {
    outputs: Outputs<'a>,
    argmax: Option<&'a mut [u32]>,
}

impl Contract for PooledOutputs<'_> {
    fn channels(&self) -> usize {
        self.outputs.channels
    }

    #[inline(always)]
    fn contract<S: Simd>(&mut self, simd: S, tile: &WinogradTile, channel: usize, sums: Points<S>) {
        let [[a, b], [c, d]] = self.outputs.cells(simd, channel, sums);
        let Outputs { channels, y, .. } = &mut self.outputs;
        let first = tile.index * *channels + channel;
        let range = first..first + (*channels - channel).min(S::F32_LANES);
        let argmax = self.argmax.as_deref_mut().map(|a| &mut a[range.clone()]);
        store_largest(simd, [a, b, c, d], &mut y[range], argmax);
    }
}

impl Contract for Outputs<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn contract<S: Simd>(&mut self, simd: S, tile: &WinogradTile, channel: usize, sums: Points<S>) {
        let [[a, b], [c, d]] = self.cells(simd, channel, sums);
        for (row, column, value) in [(0, 0, a), (0, 1, b), (1, 0, c), (1, 1, d)] {
            if let Some(cell) = self.tiles.output_cell(tile, row, column) {
                store(simd, self.y, self.channels, cell, channel, value);
            }
        }
    }
}

/// Adds to the gradient of the input: `B m Bᵀ`.
struct InputGradients<'a> {
    tiles: Tiles,
    channels: usize,
    dx: &'a mut [f32],
}

impl InputGradients<'_> {
    /// `B m`.
    #[inline(always)]
    fn column<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> [S::f32s; 4] {
        [
            a,
            simd.add_f32s(simd.sub_f32s(b, c), d),
            simd.sub_f32s(simd.add_f32s(b, c), a),
            simd.sub_f32s(simd.splat_f32s(0.0), d),
        ]
    }
}

impl Contract for InputGradients<'_> {
    fn channels(&self) -> usize {
        self.channels
    }

    #[inline(always)]
    fn contract<S: Simd>(&mut self, simd: S, tile: &WinogradTile, channel: usize, m: Points<S>) {
        let [a, b, c, d] = four!(I => Self::column(simd, [m[0][I], m[1][I], m[2][I], m[3][I]]));
        let rows = four!(I => Self::column(simd, [a[I], b[I], c[I], d[I]]));
        let (tiles, channels) = (&self.tiles, self.channels);
        if tile.whole && channel + S::F32_LANES <= channels {
            let first = tiles.first_patch_cell(tile) * channels + channel;
            let line = tiles.window.iw * channels;
            four!(ROW => {
                let row = &mut self.dx[first + ROW * line..];
                four!(COLUMN => {
                    let cell = &mut row[COLUMN * channels..][..S::F32_LANES];
                    let cell = &mut S::as_mut_simd_f32s(cell).0[0];
                    *cell = simd.add_f32s(*cell, rows[ROW][COLUMN]);
                });
            });
            return;
        }
        four!(ROW => four!(COLUMN => {
            if let Some(cell) = tiles.patch_cell(tile, ROW, COLUMN) {
                let old = load(simd, self.dx, channels, cell, channel);
                let new = simd.add_f32s(old, rows[ROW][COLUMN]);
                store(simd, self.dx, channels, cell, channel, new);
            }
        }));
    }
}

/// `contract(Σ expand(tile) ⊙ kernel)` for `count` tiles.
struct TransformedProduct<'a, E, C> {
    tiles: Tiles,
    count: usize,
    from: E,
    to: C,
    /// The kernel, `[columns / width, POINTS, terms, width]` with a width of two vectors.
    packed: &'a [f32],
    scratch: &'a mut [f32],
}

/// Floats of scratch memory that a [`TransformedProduct`] needs.
fn product_scratch(arch: Arch, from: usize) -> usize {
    // Enough for any processor: the largest block of rows, and two vectors of columns.
    POINTS * MOST_ROWS * (from.next_multiple_of(lanes(arch)) + 2 * lanes(arch))
}

impl<E: Expand, C: Contract> TransformedProduct<'_, E, C> {
    /// Computes it, some tiles at a time.
    fn run(mut self, arch: Arch) {
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

/// Some consecutive tiles.
#[derive(Clone, Copy)]
struct TileRange {
    tiles: Tiles,
    first: usize,
    count: usize,
}

/// Transforms tiles into `values`, `[POINTS, tiles, channels]` with the channels padded to whole
/// vectors.
struct ExpandTiles<'a, E> {
    tiles: TileRange,
    from: &'a E,
    values: &'a mut [f32],
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

/// Adds `Gᵀ [ Σ (Bᵀ d B) ⊙ (A dy Aᵀ) ] G` over `count` tiles to `dw`.
struct TransformedKernelGradient<'a, E> {
    tiles: Tiles,
    count: usize,
    x: Patches<'a>,
    dy: E,
    dw: &'a mut [f32],
    scratch: &'a mut [f32],
}

/// Tiles that the kernel gradient transforms at a time: their transformed values take half a
/// megabyte, to stay in a core's cache beside the sums. Independent of the vectors' length, as the order of the
/// sum depends on it.
fn tiles_at_a_time(shape: &ConvShape) -> usize {
    (8192 / (shape.ic + shape.oc)).max(16)
}

/// Floats of scratch memory that a [`TransformedKernelGradient`] needs.
fn gradient_scratch(arch: Arch, shape: &ConvShape, count: usize) -> usize {
    let [ic, oc] = [shape.ic, shape.oc].map(|c| c.next_multiple_of(lanes(arch)));
    POINTS * (count.min(tiles_at_a_time(shape)) * (ic + oc) + shape.ic * oc)
}

impl<E: Expand> TransformedKernelGradient<'_, E> {
    /// Computes it, some tiles at a time.
    fn run(self, arch: Arch) {
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

/// Transforms a kernel, `G g Gᵀ`, and packs it for a [`TransformedProduct`].
struct TransformKernel<'a> {
    w: &'a [f32],
    ic: usize,
    oc: usize,
    /// For the input gradient: rows are output channels, columns input channels.
    transposed: bool,
    packed: &'a mut [f32],
}

impl WithSimd for TransformKernel<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (ic, oc) = (self.ic, self.oc);
        let width = 2 * S::F32_LANES;
        let half = simd.splat_f32s(0.5);
        // With the output channels outermost, all that the transposed stores touch stays in cache.
        for o in (0..oc).step_by(S::F32_LANES) {
            for i in 0..ic {
                let mut t = [[simd.splat_f32s(0.0); 3]; 4];
                for column in 0..3 {
                    let mut g = [simd.splat_f32s(0.0); 3];
                    for (row, g) in g.iter_mut().enumerate() {
                        *g = load(simd, self.w, oc, (row * 3 + column) * ic + i, o);
                    }
                    for (t, u) in t.iter_mut().zip(expand_kernel(simd, half, g)) {
                        t[column] = u;
                    }
                }
                for (row, g) in t.into_iter().enumerate() {
                    let u = expand_kernel(simd, half, g);
                    for (column, u) in u.into_iter().enumerate() {
                        let point = row * 4 + column;
                        if !self.transposed {
                            let panel = o / width * POINTS + point;
                            let at = (panel * ic + i) * width + o % width;
                            S::as_mut_simd_f32s(&mut self.packed[at..][..S::F32_LANES]).0[0] = u;
                            continue;
                        }
                        let panel = i / width * POINTS + point;
                        let u = bytemuck::bytes_of(&u);
                        let u = bytemuck::cast_slice::<u8, f32>(u).iter().take(oc - o);
                        for (o, u) in (o..).zip(u) {
                            self.packed[(panel * oc + o) * width + i % width] = *u;
                        }
                    }
                }
            }
        }
    }
}

/// `G g`.
#[inline(always)]
fn expand_kernel<S: Simd>(simd: S, half: S::f32s, [a, b, c]: [S::f32s; 3]) -> [S::f32s; 4] {
    let ends = simd.add_f32s(a, c);
    [
        a,
        simd.mul_f32s(half, simd.add_f32s(ends, b)),
        simd.mul_f32s(half, simd.sub_f32s(ends, b)),
        c,
    ]
}

/// Packs the kernel for [`forward`], followed by the bias, padded with zeros.
pub(super) fn pack_forward(
    arch: Arch,
    shape: &ConvShape,
    w: &[f32],
    bias: Option<&[f32]>,
    packed: &mut Vec<f32>,
) {
    let columns = shape.oc.next_multiple_of(2 * lanes(arch));
    let kernel = POINTS * shape.ic * columns;
    let packed = scratch::resize(packed, kernel + columns);
    let (kernel, padded_bias) = packed.split_at_mut(kernel);
    if columns > shape.oc {
        kernel.fill(0.0);
    }
    padded_bias.fill(0.0);
    if let Some(bias) = bias {
        padded_bias[..shape.oc].copy_from_slice(bias);
    }
    arch.dispatch(TransformKernel {
        w,
        ic: shape.ic,
        oc: shape.oc,
        transposed: false,
        packed: kernel,
    });
}

/// Packs the kernel for [`backward_input`].
pub(super) fn pack_backward(arch: Arch, shape: &ConvShape, w: &[f32], packed: &mut Vec<f32>) {
    let columns = shape.ic.next_multiple_of(2 * lanes(arch));
    let packed = scratch::resize(packed, POINTS * shape.oc * columns);
    if columns > shape.ic {
        packed.fill(0.0);
    }
    arch.dispatch(TransformKernel {
        w,
        ic: shape.ic,
        oc: shape.oc,
        transposed: true,
        packed,
    });
}

/// `y = x ⋆ w + bias` for some samples, after ReLU if `relu`.
pub(super) fn forward(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    packed: &[f32],
    relu: bool,
    y: &mut [f32],
) {
    let tiles = Tiles::new(&shape.window);
    let (packed, bias) = split_packed(arch, shape, packed);
    let to = Outputs {
        tiles,
        channels: shape.oc,
        bias,
        relu,
        y,
    };
    forward_to(arch, shape, tiles, x, packed, to);
}

/// The same and a max pool; see [`PooledForward`].
pub(super) fn forward_pooled(arch: Arch, of: PooledForward<'_>) {
    let tiles = Tiles::grid(&of.shape.window, of.windows);
    let (packed, bias) = split_packed(arch, of.shape, of.packed);
    let to = PooledOutputs {
        outputs: Outputs {
            tiles,
            channels: of.shape.oc,
            bias,
            relu: of.relu,
            y: of.y,
        },
        argmax: of.argmax,
    };
    forward_to(arch, of.shape, tiles, of.x, packed, to);
}

/// The kernel and the bias that [`pack_forward`] packed.
fn split_packed<'a>(arch: Arch, shape: &ConvShape, packed: &'a [f32]) -> (&'a [f32], &'a [f32]) {
    let columns = shape.oc.next_multiple_of(2 * lanes(arch));
    packed.split_at(POINTS * shape.ic * columns)
}

fn forward_to(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    x: &[f32],
    packed: &[f32],
    to: impl Contract,
) {
    let samples = x.len() / (shape.ic * shape.window.ih * shape.window.iw);
    scratch::with(product_scratch(arch, shape.ic), |scratch| {
        let product = TransformedProduct {
            tiles,
            count: samples * tiles.per_sample(),
            from: Patches {
                tiles,
                channels: shape.ic,
                x,
            },
            to,
            packed,
            scratch,
        };
        product.run(arch);
    });
}

/// The gradient of a convolution's output.
pub(super) enum OutputGradient<'a> {
    /// Itself.
    Stored(&'a [f32]),
    /// Of a max pool of the output with 2x2 windows, if nothing else reads the output.
    Pooled(PoolGradient<'a>),
}

impl<'a> From<PoolGradient<'a>> for OutputGradient<'a> {
    fn from(gradient: PoolGradient<'a>) -> Self {
        Self::Pooled(gradient)
    }
}

impl<'a> From<&'a [f32]> for OutputGradient<'a> {
    fn from(gradient: &'a [f32]) -> Self {
        Self::Stored(gradient)
    }
}

/// `dx` for some samples, before any activation.
pub(super) fn backward_input(
    arch: Arch,
    shape: &ConvShape,
    dy: OutputGradient<'_>,
    packed: &[f32],
    dx: &mut [f32],
) {
    let channels = shape.oc;
    match dy {
        OutputGradient::Stored(dy) => {
            let tiles = Tiles::new(&shape.window);
            let from = Gradients {
                tiles,
                channels,
                dy,
            };
            backward_input_from(arch, shape, tiles, from, packed, dx);
        }
        OutputGradient::Pooled(gradient) => {
            let tiles = Tiles::grid(&shape.window, gradient.windows);
            let from = PoolGradients { channels, gradient };
            backward_input_from(arch, shape, tiles, from, packed, dx);
        }
    }
}

fn backward_input_from(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    from: impl Expand,
    packed: &[f32],
    dx: &mut [f32],
) {
    let samples = dx.len() / (shape.ic * shape.window.ih * shape.window.iw);
    dx.fill(0.0);
    scratch::with(product_scratch(arch, shape.oc), |scratch| {
        let product = TransformedProduct {
            tiles,
            count: samples * tiles.per_sample(),
            from,
            to: InputGradients {
                tiles,
                channels: shape.ic,
                dx,
            },
            packed,
            scratch,
        };
        product.run(arch);
    });
}

/// Adds some samples' contribution to `dw`.
pub(super) fn backward_weight(
    arch: Arch,
    shape: &ConvShape,
    x: &[f32],
    dy: OutputGradient<'_>,
    dw: &mut [f32],
) {
    let channels = shape.oc;
    match dy {
        OutputGradient::Stored(dy) => {
            let tiles = Tiles::new(&shape.window);
            let dy = Gradients {
                tiles,
                channels,
                dy,
            };
            backward_weight_from(arch, shape, tiles, x, dy, dw);
        }
        OutputGradient::Pooled(gradient) => {
            let tiles = Tiles::grid(&shape.window, gradient.windows);
            let dy = PoolGradients { channels, gradient };
            backward_weight_from(arch, shape, tiles, x, dy, dw);
        }
    }
}

fn backward_weight_from(
    arch: Arch,
    shape: &ConvShape,
    tiles: Tiles,
    x: &[f32],
    dy: impl Expand,
    dw: &mut [f32],
) {
    let samples = x.len() / (shape.ic * shape.window.ih * shape.window.iw);
    let count = samples * tiles.per_sample();
    scratch::with(gradient_scratch(arch, shape, count), |scratch| {
        let product = TransformedKernelGradient {
            tiles,
            count,
            x: Patches {
                tiles,
                channels: shape.ic,
                x,
            },
            dy,
            dw,
            scratch,
        };
        product.run(arch);
    });
}
