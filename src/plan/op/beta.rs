//! Draws from symmetric beta distributions, in integers.
//!
//! For uniform `u` and `v`,
//!
//! ```text
//! (1 ± sqrt(q)) / 2,   q = (1 - p) c / (c + p (1 - c)),   p = u^(1/a),   c = cos²(π v / 2)
//! ```
//!
//! has the distribution Beta(a, a) for every `a > 0` (Bailey, "Polar generation of random variates with
//! the t-distribution", Mathematics of Computation 62, 1994; Student's t with `2 a` degrees of freedom is a
//! function of a symmetric beta). No draw is rejected, so there is no loop without a bound, and fixed-point
//! arithmetic gives the same number on every device, so that all cut the same pixels. `shaders/beta.wgsl` is
//! the twin of this file.

use std::f64::consts::{FRAC_PI_2, LN_2};

/// The units of shares.
pub const SHARE_ONE: u32 = 1 << 24;

/// The units of the parameter `a`.
const UNITS: f64 = 65_536.0;

/// The largest parameter, for quotients in 32 bits.
pub const MOST_CONCENTRATED: f64 = 32.0;

/// The coefficients of `x - 1/2 x² ...`, in units of 2^-32: `2^-x = 1 - x (e[0] - x (e[1] - ...))`.
pub const EXPONENTIAL: [u32; 8] = exponential();

/// `sin²(π x / 4) = z (s[0] - z (s[1] - ...))` with `z = x²`, in units of 2^-32.
pub const SINE: [u32; 6] = sine();

const fn exponential() -> [u32; 8] {
    let mut all = [0; 8];
    let (mut i, mut term) = (0, 4_294_967_296.0);
    while i < all.len() {
        term *= LN_2 / (i + 1) as f64;
        all[i] = (term + 0.5) as u32;
        i += 1;
    }
    all
}

const fn sine() -> [u32; 6] {
    let mut all = [0; 6];
    let (mut i, mut term) = (0, 2_147_483_648.0);
    while i < all.len() {
        term *= FRAC_PI_2 * FRAC_PI_2 / ((2 * i + 1) * (2 * i + 2)) as f64;
        all[i] = (term + 0.5) as u32;
        i += 1;
    }
    all
}

/// The parameter of a distribution as [`symmetric_beta`] takes it, in units of 2^-16; at least one.
pub fn concentration(a: f64) -> u32 {
    ((a * UNITS).round() as u32).max(1)
}

/// The upper word of a product.
pub fn high(a: u32, b: u32) -> u32 {
    ((u64::from(a) * u64::from(b)) >> 32) as u32
}

/// `x (k[0] - x (k[1] - ...))`
fn alternating(x: u32, coefficients: &[u32]) -> u32 {
    let mut rest = coefficients.iter().rev();
    let last = rest.next().copied().unwrap_or_default();
    let sum = rest.fold(last, |sum, k| k - high(x, sum));
    high(x, sum)
}

/// `-log2` of `u / 2^32`, in units of 2^-26; 0 is treated as 1.
fn negative_log2(u: u32) -> u32 {
    let u = u.max(1);
    let zeros = u.leading_zeros();
    // The mantissa, from 1 to less than 2, in units of 2^-31.
    let mut mantissa = u << zeros;
    let mut fraction = 0;
    for _ in 0..26 {
        let square = high(mantissa, mantissa);
        let carry = square >> 31;
        fraction = fraction << 1 | carry;
        mantissa = square << (1 - carry);
    }
    ((zeros + 1) << 26) - fraction
}

/// `(u / 2^32)^(1/a)` in units of 2^-32.
fn root_of_uniform(u: u32, a: u32) -> u32 {
    let log = negative_log2(u);
    // In units of 2^-10, and what is left in units of 2^-20.
    let (quotient, rest) = (log / a, log % a);
    let whole = quotient >> 10;
    if whole > 31 {
        return 0;
    }
    let fraction = ((quotient & 1023) << 10) | ((rest << 10) / a);
    (u32::MAX - alternating(fraction << 12, &EXPONENTIAL)) >> whole
}

/// `a / b` for `a <= b` in units of 2^-32, less than 1.
fn quotient(a: u32, b: u32) -> u32 {
    let (mut rest, divisor) = (a >> 1, b >> 1);
    let mut quotient = 0;
    for _ in 0..32 {
        rest <<= 1;
        quotient <<= 1;
        if rest >= divisor {
            rest -= divisor;
            quotient |= 1;
        }
    }
    quotient
}

/// A draw from Beta(a, a), in units of 2^-24, never 0 or 1; `a` is a [`concentration`].
pub fn symmetric_beta(a: u32, [uniform, angle]: [u32; 2]) -> u32 {
    let p = root_of_uniform(uniform, a);
    // Bit 31 decides on the sign, bit 30 between c and 1 - c.
    let v = angle << 2;
    let small = alternating(high(v, v), &SINE);
    let c = if angle >> 30 & 1 == 1 { !small } else { small };
    let q = quotient(c - high(p, c), c + high(p, !c));
    let root = q.isqrt();
    let share = match angle >> 31 {
        1 => 65_536 + root,
        _ => 65_536 - root,
    };
    share << 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Stream};

    fn share(units: u32, of: f64) -> f64 {
        f64::from(units) / of
    }

    #[test]
    fn the_series_are_accurate() {
        const WORD: f64 = 4_294_967_296.0;
        for i in 0..1000_u32 {
            let x = 4_294_967 * i;
            let exact = 2f64.powf(-share(x, WORD));
            let found = share(u32::MAX - alternating(x, &EXPONENTIAL), WORD);
            assert!((found - exact).abs() < 2e-7, "2^-{x}: {found}, not {exact}");
            let exact = (FRAC_PI_2 / 2.0 * share(x, WORD)).sin().powi(2);
            let found = share(alternating(high(x, x), &SINE), WORD);
            assert!((found - exact).abs() < 1e-8, "{x}: {found}, not {exact}");
            let exact = -share(x.max(1), WORD).log2();
            let found = share(negative_log2(x), (1 << 26) as f64);
            assert!((found - exact).abs() < 1e-6, "{x}: {found}, not {exact}");
        }
        for (a, b) in [(0, 0), (0, 7), (1, 3), (5, 5), (1 << 31, u32::MAX)] {
            let exact = if a == b {
                1.0
            } else {
                f64::from(a >> 1) / f64::from(b >> 1)
            };
            assert!(
                (share(quotient(a, b), WORD) - exact).abs() < 1e-9,
                "{a} / {b}"
            );
        }
    }

    #[test]
    fn no_draws_overflow() {
        let words = [
            0,
            1,
            2,
            0x3fff_ffff,
            0x4000_0000,
            0x8000_0000,
            0xbfff_ffff,
            u32::MAX - 1,
            u32::MAX,
        ];
        for a in [1, 2, 6554, 65_536, concentration(MOST_CONCENTRATED)] {
            for uniform in words {
                for angle in words {
                    let draw = symmetric_beta(a, [uniform, angle]);
                    assert!(
                        draw > 0 && draw < SHARE_ONE,
                        "{a} {uniform:x} {angle:x}: {draw}"
                    );
                }
            }
        }
    }

    /// The distribution function of Beta(a, a) at `x <= 1/2`, by Simpson's rule; for `a < 1` after the
    /// substitution `y = t^(1/a)`, which leaves a smooth integrand.
    fn distribution(a: f64, x: f64) -> f64 {
        let integral = |x: f64| {
            let (end, n) = (if a < 1.0 { x.powf(a) } else { x }, 2000);
            let f = |i: usize| {
                let t = end * i as f64 / n as f64;
                match a < 1.0 {
                    true => (1.0 - t.powf(1.0 / a)).powf(a - 1.0),
                    false => (t * (1.0 - t)).powf(a - 1.0),
                }
            };
            let inner: f64 = (1..n)
                .map(|i| if i % 2 == 1 { 4.0 } else { 2.0 } * f(i))
                .sum();
            (f(0) + inner + f(n)) * end / (3 * n) as f64
        };
        0.5 * integral(x) / integral(0.5)
    }

    #[test]
    fn mean_variance_and_quantiles_are_those_of_the_beta_distribution() {
        const N: usize = 200_000;
        for (number, a) in [0.02, 0.1, 0.2, 0.5, 1.0, 2.0, 8.0, 32.0]
            .into_iter()
            .enumerate()
        {
            let key = Key::new(3).stream(Stream::Check, number as u32);
            let draw = |i: usize| symmetric_beta(concentration(a), key.pair(i as u32));
            let mut draws: Vec<f64> = (0..N).map(|i| share(draw(i), SHARE_ONE.into())).collect();
            draws.sort_unstable_by(f64::total_cmp);
            let mean = draws.iter().sum::<f64>() / N as f64;
            let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / N as f64;
            let expected = 0.25 / (2.0 * a + 1.0);
            // Four standard errors.
            assert!(
                (mean - 0.5).abs() < 4.0 * (expected / N as f64).sqrt(),
                "{a}: mean {mean}"
            );
            assert!(
                (variance / expected - 1.0).abs() < 0.013,
                "{a}: variance {variance}, not {expected}"
            );
            // Kolmogorov and Smirnov's distance, beyond which one in two thousand samples is, at places
            // where the resolution of a share has no influence.
            for (i, x) in draws
                .iter()
                .enumerate()
                .step_by(997)
                .filter(|(_, x)| (1e-3..0.999).contains(*x))
            {
                let below = distribution(a, x.min(1.0 - x));
                let below = if *x > 0.5 { 1.0 - below } else { below };
                let found = i as f64 / N as f64;
                assert!(
                    (found - below).abs() < 2.0 / (N as f64).sqrt(),
                    "{a}: F({x}) = {found}, not {below}"
                );
            }
        }
    }

    /// Against the same formula in floating point. Where both `p` and `c` are tiny, which is rare, their
    /// quotient is less accurate.
    #[test]
    fn each_draw_is_that_of_the_formula() {
        const WORD: f64 = 4_294_967_296.0;
        let key = Key::new(4).stream(Stream::Check, 0);
        let mut errors: Vec<f64> = Vec::new();
        for i in 0..20_000 {
            let [uniform, angle] = key.pair(i);
            let a = concentration([0.1, 0.2, 1.0, 2.0][i as usize % 4]);
            let found = share(symmetric_beta(a, [uniform, angle]), SHARE_ONE.into());
            let p = share(uniform, WORD).powf(UNITS / f64::from(a));
            let small = (FRAC_PI_2 / 2.0 * share(angle << 2, WORD)).sin().powi(2);
            let is_large = angle >> 30 & 1 == 1;
            let c = if is_large { 1.0 - small } else { small };
            let root = ((1.0 - p) * c / (c + p * (1.0 - c))).sqrt();
            let signed = if angle >> 31 == 1 { root } else { -root };
            errors.push((found - 0.5 * (1.0 + signed)).abs());
        }
        errors.sort_unstable_by(f64::total_cmp);
        assert!(
            errors[19_900] < 1e-5 && errors[19_999] < 5e-3,
            "{:?}",
            &errors[19_900..]
        );
    }
}
