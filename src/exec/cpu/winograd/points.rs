//! What transforms between tiles and their 16 points, a vector of channels at a time.

use pulp::Simd;

use super::tiles::WinogradTile;

/// Values of a transformed tile.
pub(super) const POINTS: usize = 16;

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

pub(super) use four;

/// The values of a transformed tile in a vector of channels, row by row.
pub(super) type Points<S> = [[<S as Simd>::f32s; 4]; 4];

/// Reads a tile's values and transforms them.
pub(super) trait Expand {
    /// Channels of what it reads.
    fn channels(&self) -> usize;

    /// The transformed values of the vector of channels that starts with `channel`; zero beyond the
    /// last channel.
    fn expand<S: Simd>(&self, simd: S, tile: &WinogradTile, channel: usize) -> Points<S>;
}

/// Transforms a tile's sums back and writes the result.
pub(super) trait Contract {
    /// Channels of what it writes.
    fn channels(&self) -> usize;

    /// Writes a vector of channels.
    fn contract<S: Simd>(&mut self, simd: S, tile: &WinogradTile, channel: usize, sums: Points<S>);
}

/// The vector that starts at `first`.
#[inline(always)]
pub(super) fn vector<S: Simd>(values: &[f32], first: usize) -> S::f32s {
    S::as_simd_f32s(&values[first..first + S::F32_LANES]).0[0]
}

/// A vector of the `channels` of a cell, from `channel` on.
#[inline(always)]
pub(super) fn load<S: Simd>(
    simd: S,
    values: &[f32],
    channels: usize,
    cell: usize,
    channel: usize,
) -> S::f32s {
    let first = cell * channels + channel;
    if channel + S::F32_LANES <= channels {
        return vector::<S>(values, first);
    }
    simd.partial_load_f32s(&values[first..first + channels - channel])
}

/// The counterpart of [`load`].
#[inline(always)]
pub(super) fn store<S: Simd>(
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
