//! From points to values: the output, its max pool, and the gradient of the input.

use pulp::Simd;

use super::points::{Contract, Points, four, load, store};
use super::tiles::{Tiles, WinogradTile};
use crate::exec::cpu::vectors::store_largest;

/// Writes the output: `f(Aᵀ m A + bias)`.
pub(super) struct Outputs<'a> {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    /// Padded to whole vectors.
    pub(super) bias: &'a [f32],
    pub(super) relu: bool,
    pub(super) y: &'a mut [f32],
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

/// Writes the maximum of each tile: `maxpool(f(Aᵀ m A + bias))`.
pub(super) struct PooledOutputs<'a> {
    pub(super) outputs: Outputs<'a>,
    pub(super) argmax: Option<&'a mut [u32]>,
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

/// Adds to the gradient of the input: `B m Bᵀ`.
pub(super) struct InputGradients<'a> {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    pub(super) dx: &'a mut [f32],
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
