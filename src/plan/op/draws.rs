//! The random draws of operations that decide something for each sample.

use crate::rng::Key;

/// The draws of one layer: some for each row of the batch, under the step's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowDraws {
    /// The number of the series, so that no two layers of a plan share draws.
    pub number: u32,
}

impl RowDraws {
    /// The counters that each row has.
    pub const PER_ROW: usize = 8;

    /// The 32 bits of draw `i` of a row.
    pub fn bits(self, key: Key, row: usize, i: u32) -> u32 {
        let first = (row * Self::PER_ROW) as u32;
        key.bits_of(first.wrapping_add(i), self.number)
    }

    /// The 64 bits of draw `i` of a row.
    pub fn pair(self, key: Key, row: usize, i: u32) -> [u32; 2] {
        let first = (row * Self::PER_ROW) as u32;
        key.pair_of(first.wrapping_add(i), self.number)
    }

    /// Draw `i` of a row as a number between two bounds.
    pub fn between(self, key: Key, row: usize, i: u32, bounds: [f64; 2]) -> f64 {
        between(self.bits(key, row, i), bounds)
    }
}

/// A number in `[lower, upper)` from the 24 upper bits of a draw.
pub(super) fn between(bits: u32, [lower, upper]: [f64; 2]) -> f64 {
    lower + (upper - lower) * f64::from(bits >> 8) / f64::from(1 << 24)
}
