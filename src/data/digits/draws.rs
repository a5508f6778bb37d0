//! Random numbers for one sample: a cursor over a counter-based key.

use crate::rng::Key;

/// Successive draws from one sample's key.
pub(super) struct Draws {
    key: Key,
    next: u32,
}

impl Draws {
    pub(super) fn new(key: Key) -> Self {
        Self { key, next: 0 }
    }

    fn pair(&mut self) -> [u32; 2] {
        let pair = self.key.pair(self.next);
        self.next += 1;
        pair
    }

    /// A uniform integer in `0..n`.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        let [bits, _] = self.pair();
        ((u64::from(bits) * u64::from(n)) >> 32) as u32
    }

    /// A uniform number in `low..high`.
    pub(super) fn range(&mut self, low: f32, high: f32) -> f32 {
        let [bits, _] = self.pair();
        low + (high - low) * ((bits >> 8) as f32 / 16_777_216.0)
    }

    /// A nearly normal number with mean 0 and variance 1, within ±3.47: the sum of four uniform
    /// numbers.
    ///
    /// `Key::normal` would need a logarithm and a cosine, whose last bits differ between platforms.
    pub(super) fn bell(&mut self) -> f32 {
        let [a, b] = self.pair();
        let sum = (a & 0xffff) + (a >> 16) + (b & 0xffff) + (b >> 16);
        // The sum of four uniform numbers has mean 2 and variance 1/3.
        (sum as f32 / 65_536.0 - 2.0) * 1.732_050_8
    }
}
