//! Normal noise.

use pulp::{Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use crate::plan::{AddNoise, RowDraws};
use crate::rng::Key;

/// `ln(u / 2^24)` for u in 1..=2^24: the exponent, and a series for the mantissa `m` in
/// [sqrt(1/2), sqrt(2)): ln m = 2 artanh((m - 1) / (m + 1)).
#[inline(always)]
fn log_of_share(u: u32) -> f32 {
    const ROOT: u32 = 0x3f35_04f3;
    const LN_2: f32 = std::f32::consts::LN_2;
    let bits = (u as f32).to_bits() + (0x3f80_0000 - ROOT);
    let exponent = (bits >> 23) as f32 - (127.0 + 24.0);
    let m = f32::from_bits((bits & 0x007f_ffff) + ROOT);
    let s = (m - 1.0) / (m + 1.0);
    let q = s * s;
    let series = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q / 11.0)));
    exponent * LN_2 + 2.0 * (s + s * q * series)
}

/// `cos(2π u / 2^24)` for u in 0..2^24, from the series within an eighth of a turn.
#[inline(always)]
fn cosine_of_share(u: u32) -> f32 {
    let quarter = (u + (1 << 21)) >> 22;
    let rest = u as i32 - (quarter << 22) as i32;
    let z = rest as f32 * (std::f32::consts::TAU / 16_777_216.0);
    let q = z * z;
    let sine =
        z * (1.0 + q * (-1.0 / 6.0 + q * (1.0 / 120.0 + q * (-1.0 / 5040.0 + q / 362_880.0))));
    let cosine = 1.0
        + q * (-1.0 / 2.0
            + q * (1.0 / 24.0 + q * (-1.0 / 720.0 + q * (1.0 / 40_320.0 - q / 3_628_800.0))));
    let value = if quarter & 1 == 0 { cosine } else { sine };
    if (quarter + 1) & 2 == 0 {
        value
    } else {
        -value
    }
}

/// Normal numbers for elements `first..`: a type and not a closure, as the compiler would draw number
/// by number in a closure that it does not inline.
pub(super) struct DrawNormals<'a> {
    pub(super) key: Key,
    pub(super) draws: RowDraws,
    pub(super) first: u32,
    pub(super) out: &'a mut [f32],
}

impl WithSimd for DrawNormals<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for (i, out) in self.out.iter_mut().enumerate() {
            let element = self.first.wrapping_add(i as u32);
            let [a, b] = self.key.pair_of(element, self.draws.number);
            let radius = (-2.0 * log_of_share((1 << 24) - (a >> 8))).max(0.0).sqrt();
            *out = radius * cosine_of_share(b >> 8);
        }
    }
}

impl RowWise for AddNoise {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, key) = (block.arch(), block.memory().key);
        let rows = block.places();
        block.write(self.y, |block, y| {
            let first = (rows.start * (y.len() / rows.len())) as u32;
            let (draws, stddev) = (self.draws, self.stddev as f32);
            arch.dispatch(DrawNormals {
                key,
                draws,
                first,
                out: y,
            });
            for (y, x) in y.iter_mut().zip(block.floats(self.x)) {
                *y = x + stddev * *y;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_are_those_of_the_functions() {
        for u in (1..=1_u32 << 24)
            .step_by(4093)
            .chain([1, 2, (1 << 24) - 1, 1 << 24])
        {
            let share = f64::from(u) / 16_777_216.0;
            let expected = share.ln();
            let error = (f64::from(log_of_share(u)) - expected).abs();
            assert!(error <= 3e-7 * expected.abs(), "ln {u}: {error}");
            let expected = (std::f64::consts::TAU * share).cos();
            let error = (f64::from(cosine_of_share(u % (1 << 24))) - expected).abs();
            assert!(error <= 3e-7, "cos {u}: {error}");
        }
    }
}
