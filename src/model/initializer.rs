//! Initial values of kernels and biases.

use serde::{Deserialize, Serialize};

use crate::rng::Key;

/// How a parameter starts. For a kernel of shape `[kh, kw, in, out]` the fans are
/// `fan_in = kh * kw * in` and `fan_out = kh * kw * out`; for a dense kernel `[in, out]` they are
/// `in` and `out`. Uniform draws lie in `[-limit, limit)`; normal ones are, as in Keras, cut off at
/// two standard deviations and widened so that the stated deviation holds after the cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initializer {
    /// `limit = sqrt(6 / (fan_in + fan_out))` (Glorot and Bengio, 2010); the default for kernels.
    #[default]
    GlorotUniform,
    /// `stddev = sqrt(2 / (fan_in + fan_out))` (Glorot and Bengio, 2010).
    GlorotNormal,
    /// `limit = sqrt(6 / fan_in)` (He et al., 2015).
    HeUniform,
    /// `stddev = sqrt(2 / fan_in)` (He et al., 2015).
    HeNormal,
    /// `limit = sqrt(3 / fan_in)` (LeCun et al., 1998).
    LecunUniform,
    /// `stddev = sqrt(1 / fan_in)` (LeCun et al., 1998).
    LecunNormal,
    /// All zero; the default for biases.
    Zeros,
    /// All one.
    Ones,
}

/// Standard deviation of a standard normal distribution cut off at two.
const CUT_DEVIATION: f64 = 0.879_625_661_034_239_8;

impl Initializer {
    /// The initial values of a parameter of this shape, drawn under `key`.
    pub fn fill(self, shape: &[usize], key: Key) -> Vec<f32> {
        let (fan_in, fan_out) = fans(shape);
        let n: usize = shape.iter().product();
        match self {
            Self::GlorotUniform => uniform(n, (6.0 / (fan_in + fan_out)).sqrt(), key),
            Self::GlorotNormal => cut_normal(n, (2.0 / (fan_in + fan_out)).sqrt(), key),
            Self::HeUniform => uniform(n, (6.0 / fan_in).sqrt(), key),
            Self::HeNormal => cut_normal(n, (2.0 / fan_in).sqrt(), key),
            Self::LecunUniform => uniform(n, (3.0 / fan_in).sqrt(), key),
            Self::LecunNormal => cut_normal(n, (1.0 / fan_in).sqrt(), key),
            Self::Zeros => vec![0.0; n],
            Self::Ones => vec![1.0; n],
        }
    }
}

fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [field @ .., fan_in, fan_out] => {
            let field: usize = field.iter().product();
            ((field * fan_in) as f64, (field * fan_out) as f64)
        }
        [n] => (*n as f64, *n as f64),
        [] => (1.0, 1.0),
    }
}

fn uniform(n: usize, limit: f64, key: Key) -> Vec<f32> {
    (0..n as u32)
        .map(|i| ((f64::from(key.uniform(i)) * 2.0 - 1.0) * limit) as f32)
        .collect()
}

fn cut_normal(n: usize, deviation: f64, key: Key) -> Vec<f32> {
    let scale = (deviation / CUT_DEVIATION) as f32;
    // A draw beyond the cut is drawn again under the next counter of its own.
    let draw = |i: usize| {
        (0..64)
            .map(|attempt| key.normal((i * 64 + attempt) as u32))
            .find(|x| x.abs() < 2.0)
            .unwrap_or(0.0)
    };
    (0..n).map(|i| draw(i) * scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;

    fn moments(values: &[f32]) -> (f64, f64, f64) {
        let n = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / n;
        let largest = values.iter().fold(0f64, |m, &v| m.max(f64::from(v).abs()));
        (mean, variance.sqrt(), largest)
    }

    #[test]
    fn glorot_uniform_has_keras_limit_and_spread() {
        let key = Key::new(3).stream(Stream::Init, 0);
        let limit = (6.0f64 / (9.0 * 32.0 + 9.0 * 64.0)).sqrt();
        let (mean, deviation, largest) =
            moments(&Initializer::GlorotUniform.fill(&[3, 3, 32, 64], key));
        assert!(mean.abs() < 0.002 && largest <= limit && largest > 0.99 * limit);
        assert!((deviation / (limit / 3f64.sqrt()) - 1.0).abs() < 0.02);
    }

    #[test]
    fn normal_kinds_are_cut_at_two_and_keep_their_deviation() {
        let key = Key::new(3).stream(Stream::Init, 1);
        let wanted = (2.0f64 / 500.0).sqrt();
        let (_, deviation, largest) = moments(&Initializer::HeNormal.fill(&[500, 40], key));
        assert!(
            (deviation / wanted - 1.0).abs() < 0.02,
            "{deviation} {wanted}"
        );
        assert!(largest <= 2.0 * wanted / CUT_DEVIATION);
    }
}
