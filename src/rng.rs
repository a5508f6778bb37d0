//! Counter-based random numbers: the same bits in Rust and in WGSL, on every device.
//!
//! A draw is a pure function of a key and a counter, so continuing or repeating a run needs no
//! generator state, and any number of threads may draw in any order. The generator is Threefry-2x32
//! with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011), which needs only 32-bit additions, rotations and exclusive ors, all native to WGSL. A
//! test compares it with the implementation in `shaders/rng.wgsl` bit for bit.
//!
//! ```
//! use cnn_gpu::rng::{Key, Stream};
//! let key = Key::new(42).stream(Stream::Shuffle, 3); // seed 42, third epoch
//! assert_eq!(key.bits(7), Key::new(42).stream(Stream::Shuffle, 3).bits(7));
//! assert!((0.0..1.0).contains(&key.uniform(7)));
//! ```

/// The default seed of a run.
pub const DEFAULT_SEED: u64 = 42;

/// The purpose of a sequence of draws. Streams of one seed never overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial weights; the second coordinate is the parameter's index.
    Init = 1,
    /// The order of samples; the second coordinate is the epoch.
    Shuffle = 2,
    /// The built-in digits; the second coordinate is the sample's index.
    Digits = 3,
    /// Inputs of tests, `selfcheck` and `bench`; the second coordinate is free.
    Check = 4,
    /// The draws of a step (dropout, augmentation); the second coordinate is the step.
    Step = 5,
    /// The order in which pictures of a folder are mixed; the second coordinate is the class.
    Mix = 6,
    /// Where t-SNE places points at first; the second coordinate is the axis.
    Embed = 7,
}

/// The key of a sequence of draws, derived from a seed, a stream and a coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u32; 2]);

impl Key {
    /// The key of a whole run.
    pub fn new(seed: u64) -> Self {
        Self([seed as u32, (seed >> 32) as u32])
    }

    /// The key of one stream at one coordinate (epoch, step, parameter or sample).
    pub fn stream(self, stream: Stream, coordinate: u32) -> Self {
        Self(threefry2x32(self.0, [stream as u32, coordinate]))
    }

    /// The key of the draws of step `t` of a run, counted from 1.
    pub fn of_step(seed: u64, t: u64) -> Self {
        Self::new(seed).stream(Stream::Step, t as u32)
    }

    /// The key's two words, as passed to the shaders.
    pub fn words(self) -> [u32; 2] {
        self.0
    }

    /// 64 random bits for `element`.
    pub fn pair(self, element: u32) -> [u32; 2] {
        threefry2x32(self.0, [element, 0])
    }

    /// 32 random bits for `element`.
    pub fn bits(self, element: u32) -> u32 {
        self.pair(element)[0]
    }

    /// 32 random bits for `element` of series `series` under this key.
    // Inlined into loops, so that they draw a vector at a time.
    #[inline(always)]
    pub fn bits_of(self, element: u32, series: u32) -> u32 {
        threefry2x32(self.0, [element, series])[0]
    }

    /// A number in [0, 1) for `element`, with 24 bits, so that `f32` represents every value
    /// exactly.
    pub fn uniform(self, element: u32) -> f32 {
        (self.bits(element) >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// A standard normal number for `element` (Box and Muller, 1958).
    pub fn normal(self, element: u32) -> f32 {
        let [a, b] = self.pair(element);
        // 1 - u lies in (0, 1], which keeps the logarithm finite.
        let u = 1.0 - f64::from(a >> 8) / 16_777_216.0;
        let angle = std::f64::consts::TAU * f64::from(b) / 4_294_967_296.0;
        ((-2.0 * u.ln()).sqrt() * angle.cos()) as f32
    }

    /// 64 random bits for `element` of series `series` under this key.
    #[inline(always)]
    pub fn pair_of(self, element: u32, series: u32) -> [u32; 2] {
        threefry2x32(self.0, [element, series])
    }

    /// A standard normal number for `element` of series `series` (Box and Muller, 1958), from the 24
    /// upper bits of two words.
    pub fn normal_of(self, element: u32, series: u32) -> f64 {
        let [a, b] = self.pair_of(element, series);
        let share = |bits: u32| f64::from(bits >> 8) / 16_777_216.0;
        let angle = std::f64::consts::TAU * share(b);
        (-2.0 * (1.0 - share(a)).ln()).sqrt() * angle.cos()
    }

    /// A random permutation of `0..n`: the indices sorted by 64 random bits each.
    pub fn permutation(self, n: usize) -> Vec<u32> {
        let mut keyed: Vec<(u64, u32)> = (0..n as u32)
            .map(|i| {
                let [a, b] = self.pair(i);
                ((u64::from(a) << 32) | u64::from(b), i)
            })
            .collect();
        // The index breaks ties, so even an unstable sort has only one outcome.
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, i)| i).collect()
    }
}

/// Threefry-2x32-20: 64 random bits from a 64-bit key and a 64-bit counter.
#[inline(always)]
pub fn threefry2x32(key: [u32; 2], counter: [u32; 2]) -> [u32; 2] {
    const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
    let keys = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
    let [mut x, mut y] = [
        counter[0].wrapping_add(keys[0]),
        counter[1].wrapping_add(keys[1]),
    ];
    for block in 0..5 {
        for rotation in ROTATIONS[block % 2] {
            x = x.wrapping_add(y);
            y = y.rotate_left(rotation) ^ x;
        }
        x = x.wrapping_add(keys[(block + 1) % 3]);
        y = y
            .wrapping_add(keys[(block + 2) % 3])
            .wrapping_add(block as u32 + 1);
    }
    [x, y]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `kat_vectors` of the authors' Random123 library.
    #[test]
    fn matches_the_published_vectors() {
        assert_eq!(threefry2x32([0, 0], [0, 0]), [0x6b20_0159, 0x99ba_4efe]);
        assert_eq!(
            threefry2x32([u32::MAX; 2], [u32::MAX; 2]),
            [0x1cb9_96fc, 0xbb00_2be7]
        );
        assert_eq!(
            threefry2x32([0x1319_8a2e, 0x0370_7344], [0x243f_6a88, 0x85a3_08d3]),
            [0xc492_3a9c, 0x483d_f7a0]
        );
    }

    #[test]
    fn permutation_holds_every_index_once() {
        let mut order = Key::new(1).stream(Stream::Shuffle, 0).permutation(1001);
        assert_ne!(order, (0..1001).collect::<Vec<_>>());
        order.sort_unstable();
        assert_eq!(order, (0..1001).collect::<Vec<_>>());
    }

    #[test]
    fn normal_has_mean_zero_and_variance_one() {
        let key = Key::new(5).stream(Stream::Check, 0);
        let draws: Vec<f64> = (0..20_000).map(|i| f64::from(key.normal(i))).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
    }
}
