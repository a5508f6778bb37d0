//! Batch normalization.

use serde::{Deserialize, Serialize};

use super::conv2d::zeros;
use super::layer::{LayerSpec, ParameterSpec, yes};
use super::{Initializer, Regularizer};
use crate::plan::{BatchNorm, Builder, Value};
use crate::words::short;

/// Batch normalization (Ioffe and Szegedy, 2015), channel by channel (the last axis):
///
/// ```text
/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta
/// ```
///
/// In training, `mean` and `variance` (the biased one, divided by the count) are taken over all
/// pixels of the batch's valid rows, and both update their moving average:
/// `moving = momentum * moving + (1 - momentum) * batch`. Inference uses the moving averages. The
/// output has the input's shape. Parameters: `gamma` and `beta` `[c]`; `moving_mean` and
/// `moving_variance` `[c]`, which are not trained. Errors: a momentum outside `[0, 1]`, or an
/// epsilon that is not positive.
///
/// ```
/// use cnn_gpu::model::{Activation, ActivationLayer, BatchNormalization, Conv2D, Sequential};
/// let model = Sequential::new([28, 28, 1])
///     .add(Conv2D::new(32, 3).use_bias(false))
///     .add(BatchNormalization::new())
///     .add(ActivationLayer::new(Activation::Relu));
/// assert_eq!(model.parameter_count()?, 9 * 32 + 4 * 32);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct BatchNormalization {
    /// Default: `batch_normalization`, then `batch_normalization_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Momentum of the moving averages. Default 0.99.
    #[serde(default = "momentum")]
    pub momentum: f64,
    /// Constant added to the variance. Default 0.001.
    #[serde(default = "epsilon")]
    pub epsilon: f64,
    /// Whether to add `beta`. Default true.
    #[serde(default = "yes")]
    pub center: bool,
    /// Whether to multiply by `gamma`. Default true.
    #[serde(default = "yes")]
    pub scale: bool,
    /// Default `zeros`.
    #[serde(default = "zeros")]
    pub beta_initializer: Initializer,
    /// Default `ones`.
    #[serde(default = "ones")]
    pub gamma_initializer: Initializer,
    /// Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub beta_regularizer: Regularizer,
    /// Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub gamma_regularizer: Regularizer,
}

fn momentum() -> f64 {
    0.99
}

fn epsilon() -> f64 {
    1e-3
}

fn ones() -> Initializer {
    Initializer::Ones
}

impl Default for BatchNormalization {
    fn default() -> Self {
        Self {
            name: None,
            momentum: momentum(),
            epsilon: epsilon(),
            center: true,
            scale: true,
            beta_initializer: zeros(),
            gamma_initializer: ones(),
            beta_regularizer: Regularizer::default(),
            gamma_regularizer: Regularizer::default(),
        }
    }
}

impl BatchNormalization {
    /// A layer with the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the momentum of the moving averages.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets the constant added to the variance.
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets whether to add `beta`.
    pub fn center(mut self, center: bool) -> Self {
        self.center = center;
        self
    }

    /// Sets whether to multiply by `gamma`.
    pub fn scale(mut self, scale: bool) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the initializer of `beta`.
    pub fn beta_initializer(mut self, initializer: Initializer) -> Self {
        self.beta_initializer = initializer;
        self
    }

    /// Sets the initializer of `gamma`.
    pub fn gamma_initializer(mut self, initializer: Initializer) -> Self {
        self.gamma_initializer = initializer;
        self
    }

    /// Sets the penalty on `beta`.
    pub fn beta_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.beta_regularizer = regularizer;
        self
    }

    /// Sets the penalty on `gamma`.
    pub fn gamma_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.gamma_regularizer = regularizer;
        self
    }
}

impl LayerSpec for BatchNormalization {
    fn kind(&self) -> &'static str {
        "BatchNormalization"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(format!(
                "momentum {} must lie in [0, 1]",
                short(self.momentum)
            ));
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(format!("epsilon {} must be positive", short(self.epsilon)));
        }
        Ok(input.to_vec())
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let shape = || vec![input.last().copied().unwrap_or(1)];
        let gamma = ParameterSpec::new("gamma", shape(), self.gamma_initializer)
            .regularized(self.gamma_regularizer);
        let beta = ParameterSpec::new("beta", shape(), self.beta_initializer)
            .regularized(self.beta_regularizer);
        let mean = ParameterSpec::new("moving_mean", shape(), Initializer::Zeros);
        let variance = ParameterSpec::new("moving_variance", shape(), Initializer::Ones);
        let learnt = self.scale.then_some(gamma).into_iter();
        learnt
            .chain(self.center.then_some(beta))
            .chain([mean.not_trainable(), variance.not_trainable()])
            .collect()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        let norm = BatchNorm {
            c: x.shape.last().copied().unwrap_or(1),
            epsilon: self.epsilon,
        };
        let gamma = self.scale.then(|| b.parameter("gamma")).transpose()?;
        let beta = self.center.then(|| b.parameter("beta")).transpose()?;
        let moving = [b.parameter("moving_mean")?, b.parameter("moving_variance")?];
        Ok(b.batch_norm(x, norm, (gamma, beta), (moving, self.momentum)))
    }
}
