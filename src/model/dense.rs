//! Fully connected layer.

use serde::{Deserialize, Serialize};

use super::conv2d::zeros;
use super::layer::{LayerSpec, ParameterSpec, yes};
use super::{Activation, Initializer, Regularizer};
use crate::plan::{Builder, Value};
use crate::shape::dims;

/// Fully connected layer: `y[n, o] = f( bias[o] + Σ_i x[n, i] * kernel[i, o] )`.
///
/// Input `[in]`, output `[units]`, kernel `[in, units]`, bias `[units]`. Errors: an input that is
/// not flat (Keras would contract its last axis); put a [`Flatten`](super::Flatten) before it.
///
/// ```
/// use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
/// let model = Sequential::new([28, 28, 1])
///     .add(Flatten::new())
///     .add(Dense::new(10).activation(Activation::Softmax));
/// assert_eq!(model.parameter_count()?, 7_850);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dense {
    /// Default: `dense`, then `dense_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of outputs.
    pub units: usize,
    /// Default `linear`.
    #[serde(default)]
    pub activation: Activation,
    /// Default true.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Default `glorot_uniform`.
    #[serde(default)]
    pub kernel_initializer: Initializer,
    /// Default `zeros`.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel. Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub kernel_regularizer: Regularizer,
    /// Penalty on the bias. Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub bias_regularizer: Regularizer,
}

impl Dense {
    /// `units` outputs; all other arguments have their defaults.
    pub fn new(units: usize) -> Self {
        Self {
            name: None,
            units,
            activation: Activation::Linear,
            use_bias: true,
            kernel_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            kernel_regularizer: Regularizer::default(),
            bias_regularizer: Regularizer::default(),
        }
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the activation.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Sets whether to add a bias.
    pub fn use_bias(mut self, use_bias: bool) -> Self {
        self.use_bias = use_bias;
        self
    }

    /// Sets the kernel's initializer.
    pub fn kernel_initializer(mut self, initializer: Initializer) -> Self {
        self.kernel_initializer = initializer;
        self
    }

    /// Sets the bias's initializer.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Sets the penalty on the kernel.
    pub fn kernel_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.kernel_regularizer = regularizer;
        self
    }

    /// Sets the penalty on the bias.
    pub fn bias_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.bias_regularizer = regularizer;
        self
    }
}

impl LayerSpec for Dense {
    fn kind(&self) -> &'static str {
        "Dense"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        match (input, self.units) {
            (_, 0) => Err("units must be at least 1".into()),
            ([_], units) => Ok(vec![units]),
            _ => Err(format!(
                "expected a flat input, received {}; put a Flatten layer before it",
                dims(input)
            )),
        }
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let kernel = ParameterSpec::new(
            "kernel",
            vec![input.iter().product(), self.units],
            self.kernel_initializer,
        );
        let bias = ParameterSpec::new("bias", vec![self.units], self.bias_initializer);
        let kernel = kernel.regularized(self.kernel_regularizer);
        let bias = bias.regularized(self.bias_regularizer);
        std::iter::once(kernel)
            .chain(self.use_bias.then_some(bias))
            .collect()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        let kernel = b.parameter("kernel")?;
        let bias = self.use_bias.then(|| b.parameter("bias")).transpose()?;
        Ok(b.dense(x, kernel, bias, self.units, self.activation))
    }
}
