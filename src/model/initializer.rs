//! Initial values of kernels and biases.

use serde::{Deserialize, Serialize};

use crate::rng::Key;

/// How a parameter is initialised. For a kernel of shape `[kh, kw, in, out]` the fans are
/// `fan_in = kh * kw * in` and `fan_out = kh * kw * out`; for a dense kernel `[in, out]` they are
/// `in` and `out`. Uniform draws lie in `[-limit, limit)`. As in Keras, normal draws are truncated
/// at two standard deviations and scaled so that the stated deviation holds after truncation.
///
/// ```
/// use cnn_gpu::model::{Dense, Initializer};
/// let layer = Dense::new(64).kernel_initializer(Initializer::HeNormal);
/// assert_eq!(layer.kernel_initializer, Initializer::HeNormal);
/// ```
///
/// In a model file: `kernel_initializer = "he_normal"`, `bias_initializer = { constant = 0.1 }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
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
    /// A kernel that, as a matrix of `fan_in` rows and `out` columns, has orthonormal columns (or
    /// rows, if there are fewer): the Q of the QR decomposition of normal draws, with a positive
    /// diagonal of R (Saxe et al., 2014).
    Orthogonal,
    /// Normal with `stddev = 0.05`, not truncated.
    RandomNormal,
    /// `limit = 0.05`.
    RandomUniform,
    /// `stddev = 0.05` before truncation at two standard deviations, as in Keras.
    TruncatedNormal,
    /// The first `min(in, out)` filters pass the channel of their number through: 1 at the cell
    /// `[kh / 2, kw / 2]` of that channel, elsewhere 0. The other filters, if `out > in`, are 0:
    /// PyTorch's `nn.init.dirac_` (Zagoruyko and Komodakis, 2017), in a grouped convolution with its
    /// `groups = 1`. A dense kernel becomes the identity, which is Keras's `Identity`.
    Dirac,
    /// As `Dirac`, but the other filters are uniform with `limit = sqrt(1 / fan_in)`, PyTorch's
    /// default for convolutions, so that no two filters start alike: the initialisation of airbench
    /// (Jordan, 2024).
    DiracUniform,
    /// A single number for all values.
    Constant(f32),
    /// Zeros; the default for biases.
    Zeros,
    /// Ones.
    Ones,
}

/// Standard deviation of the standard normal distribution truncated at two.
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
            Self::Orthogonal => orthogonal(shape, key),
            Self::RandomNormal => (0..n as u32).map(|i| 0.05 * key.normal(i)).collect(),
            Self::RandomUniform => uniform(n, 0.05, key),
            Self::TruncatedNormal => cut_normal(n, 0.05 * CUT_DEVIATION, key),
            Self::Dirac => dirac(shape, vec![0.0; n]),
            Self::DiracUniform => dirac(shape, uniform(n, (1.0 / fan_in).sqrt(), key)),
            Self::Constant(value) => vec![value; n],
            Self::Zeros => vec![0.0; n],
            Self::Ones => vec![1.0; n],
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// A constant that is not finite.
    pub fn check(self) -> Result<(), String> {
        match self {
            Self::Constant(value) if !value.is_finite() => Err(format!(
                "initializer with constant = {value}: expected a finite number"
            )),
            _ => Ok(()),
        }
    }

    /// Checks that a parameter of this shape can be initialised.
    ///
    /// # Errors
    /// A parameter that is no kernel, for an initializer that passes channels through.
    pub(super) fn check_shape(self, parameter: &str, shape: &[usize]) -> Result<(), String> {
        match self.passes_channels() && shape.len() < 2 {
            true => Err(format!(
                "initializer `{}` passes channels through kernels; expected another one for `{parameter}`",
                self.dirac_name()
            )),
            false => Ok(()),
        }
    }

    /// Whether it is one of the Dirac initializers.
    pub(crate) fn passes_channels(self) -> bool {
        matches!(self, Self::Dirac | Self::DiracUniform)
    }

    /// The name of a Dirac initializer in a model file.
    pub(crate) fn dirac_name(self) -> &'static str {
        match self {
            Self::DiracUniform => "dirac_uniform",
            _ => "dirac",
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
    // A draw outside the limit is repeated; each value has 64 counters of its own.
    let draw = |i: usize| {
        (0..64)
            .map(|attempt| key.normal((i * 64 + attempt) as u32))
            .find(|x| x.abs() < 2.0)
            .unwrap_or(0.0)
    };
    (0..n).map(|i| draw(i) * scale).collect()
}

/// Lets the first filters of a kernel pass their channel through.
fn dirac(shape: &[usize], mut kernel: Vec<f32>) -> Vec<f32> {
    let [field @ .., fan_in, fan_out] = shape else {
        return kernel;
    };
    // The index of the centre among the cells of the field, in row-major order.
    let centre = field.iter().fold(0, |index, size| index * size + size / 2);
    let cells = field.iter().product();
    for filter in 0..*fan_in.min(fan_out) {
        for (cell, channel) in (0..cells).flat_map(|cell| (0..*fan_in).map(move |c| (cell, c))) {
            let passes = cell == centre && channel == filter;
            kernel[(cell * fan_in + channel) * fan_out + filter] = f32::from(u8::from(passes));
        }
    }
    kernel
}

fn orthogonal(shape: &[usize], key: Key) -> Vec<f32> {
    let columns = shape.last().copied().unwrap_or(1);
    let rows = shape.iter().product::<usize>() / columns.max(1);
    // One vector per element of the shorter side, each as long as the longer side.
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for v in 0..count {
        let mut draws: Vec<f64> = (0..length)
            .map(|i| f64::from(key.normal((v * length + i) as u32)))
            .collect();
        // Gram-Schmidt, twice: one pass is inaccurate for nearly parallel vectors.
        for _ in 0..2 {
            for other in &basis {
                let dot: f64 = draws.iter().zip(other).map(|(a, b)| a * b).sum();
                let terms = draws.iter_mut().zip(other);
                terms.for_each(|(a, b)| *a -= dot * b);
            }
        }
        let norm = draws.iter().map(|a| a * a).sum::<f64>().sqrt();
        draws.iter_mut().for_each(|a| *a /= norm);
        basis.push(draws);
    }
    let cells = (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c)));
    cells
        .map(|(r, c)| if rows < columns { (r, c) } else { (c, r) })
        .map(|(vector, element)| basis[vector][element] as f32)
        .collect()
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

    #[test]
    fn orthogonal_has_orthogonal_columns_or_rows() {
        let key = Key::new(3).stream(Stream::Init, 2);
        for shape in [vec![3, 3, 2, 7], vec![40, 40], vec![5, 12], vec![1, 1]] {
            let columns = shape[shape.len() - 1];
            let values = Initializer::Orthogonal.fill(&shape, key);
            let rows = values.len() / columns;
            let at = |v: usize, i: usize| {
                let (row, column) = if rows < columns { (v, i) } else { (i, v) };
                f64::from(values[row * columns + column])
            };
            let (count, length) = (rows.min(columns), rows.max(columns));
            for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
                let dot: f64 = (0..length).map(|i| at(a, i) * at(b, i)).sum();
                let expected = if a == b { 1.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-6, "{shape:?} {a} {b}: {dot}");
            }
        }
    }

    #[test]
    fn dirac_passes_the_first_channels_through_the_centre() {
        let key = Key::new(3).stream(Stream::Init, 4);
        // What PyTorch's dirac_ gives for [out, in, kh, kw] = [3, 2, 3, 2]: the cell [1, 1].
        let values = Initializer::Dirac.fill(&[3, 2, 2, 3], key);
        let ones: Vec<usize> = (0..values.len()).filter(|&i| values[i] == 1.0).collect();
        let at = |channel: usize, filter: usize| ((2 + 1) * 2 + channel) * 3 + filter;
        assert_eq!(ones, [at(0, 0), at(1, 1)]);
        assert_eq!(values.iter().sum::<f32>(), 2.0);
        // More channels than filters, and a dense kernel.
        assert_eq!(
            Initializer::Dirac.fill(&[1, 1, 3, 2], key),
            [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
        );
        assert_eq!(Initializer::Dirac.fill(&[2, 2], key), [1.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_filters_that_dirac_uniform_leaves_are_pytorchs() {
        let key = Key::new(3).stream(Stream::Init, 5);
        let values = Initializer::DiracUniform.fill(&[3, 3, 16, 64], key);
        let filters = values.chunks_exact(64);
        assert!(
            filters
                .clone()
                .all(|f| f[..16].iter().all(|&w| w == 0.0 || w == 1.0))
        );
        assert_eq!(filters.clone().flat_map(|f| &f[..16]).sum::<f32>(), 16.0);
        let others: Vec<f32> = filters.flat_map(|f| f[16..].to_vec()).collect();
        let limit = (1.0f64 / (9.0 * 16.0)).sqrt();
        let (mean, deviation, largest) = moments(&others);
        assert!(mean.abs() < 0.01 * limit && largest <= limit && largest > 0.99 * limit);
        assert!((deviation / (limit / 3f64.sqrt()) - 1.0).abs() < 0.02);
    }

    #[test]
    fn plain_draws_have_keras_spread() {
        let key = Key::new(3).stream(Stream::Init, 3);
        let of = |i: Initializer| moments(&i.fill(&[100, 200], key));
        let (_, deviation, largest) = of(Initializer::RandomNormal);
        assert!((deviation / 0.05 - 1.0).abs() < 0.02 && largest > 0.15);
        let (_, deviation, largest) = of(Initializer::TruncatedNormal);
        assert!((deviation / (0.05 * CUT_DEVIATION) - 1.0).abs() < 0.02 && largest <= 0.1);
        let (_, _, largest) = of(Initializer::RandomUniform);
        assert!(largest <= 0.05 && largest > 0.049);
        assert_eq!(Initializer::Constant(0.25).fill(&[2], key), [0.25, 0.25]);
    }
}
