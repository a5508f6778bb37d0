//! From values to points: patches of the input, and gradients of the output.

use pulp::Simd;

use super::points::{Expand, Points, four, load, vector};
use super::tiles::{Tiles, WinogradTile};
use crate::exec::cpu::pool_gradient::PoolGradient;

/// Reads patches of the images: `Bᵀ d B`.
pub(super) struct Patches<'a> {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    /// `[n, ih, iw, channels]`.
    pub(super) x: &'a [f32],
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
pub(super) struct Gradients<'a> {
    pub(super) tiles: Tiles,
    pub(super) channels: usize,
    pub(super) dy: &'a [f32],
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
pub(super) struct PoolGradients<'a> {
    pub(super) channels: usize,
    pub(super) gradient: PoolGradient<'a>,
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
