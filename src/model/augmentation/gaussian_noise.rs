//! Noise.

use serde::{Deserialize, Serialize};

use super::augmentation_layer;
use crate::words::short;

/// Adds normal noise with mean 0 to each element:
///
/// ```text
/// y[i] = x[i] + stddev * N(0, 1)
/// ```
///
/// The output has the input's shape. No parameters. Acts in training only, anywhere in a network;
/// the gradient passes unchanged. Errors: a deviation outside [0, 1].
///
/// ```
/// use cnn_gpu::model::{GaussianNoise, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(GaussianNoise::new(0.1));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GaussianNoise {
    /// Default: `gaussian_noise`, then `gaussian_noise_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The standard deviation, in [0, 1].
    pub stddev: f64,
}

impl GaussianNoise {
    /// Noise with this standard deviation.
    pub fn new(stddev: f64) -> Self {
        Self { name: None, stddev }
    }

    fn check(&self) -> Result<(), String> {
        if (0.0..=1.0).contains(&self.stddev) {
            Ok(())
        } else {
            Err(format!("stddev {} must lie in [0, 1]", short(self.stddev)))
        }
    }
}

augmentation_layer!(GaussianNoise, |self, input| self.check(), |b, x| {
    self.check()?;
    Ok(b.add_noise(x, self.stddev))
});
