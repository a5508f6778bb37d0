//! Activations: as an argument of a layer, and as a layer of their own.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec};
use crate::plan::{Builder, Value};

/// An activation function. Its derivative is a function of its *output* alone, so training keeps
/// one tensor per layer, not two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `y = x`
    #[default]
    Linear,
    /// `y = max(x, 0)`; `dx = dy` where `y > 0`, else 0.
    Relu,
    /// `y = 1 / (1 + exp(-x))`; `dx = dy * y * (1 - y)`.
    Sigmoid,
    /// `y = tanh(x)`; `dx = dy * (1 - y²)`.
    Tanh,
    /// `y_i = exp(x_i) / Σ_j exp(x_j)` over the last axis; `dx = y * (dy - Σ_j dy_j y_j)`.
    Softmax,
}

impl Activation {
    /// The name as Keras and model files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
        }
    }

    /// `f(x)` of one cell, NaN for NaN. Softmax needs a whole row: here it stands for linear.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear | Self::Softmax => x,
            // Not `max`, which would hide NaN.
            Self::Relu if x <= 0.0 => 0.0,
            Self::Relu => x,
            Self::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Self::Tanh => x.tanh(),
        }
    }

    /// `f'(x)` of one cell as a function of `y = f(x)`. Softmax: as [`Activation::apply`].
    pub fn derivative(self, y: f64) -> f64 {
        match self {
            Self::Linear | Self::Softmax => 1.0,
            Self::Relu if y > 0.0 => 1.0,
            Self::Relu => 0.0,
            Self::Sigmoid => y * (1.0 - y),
            Self::Tanh => 1.0 - y * y,
        }
    }

    /// The activation that can be applied cell by cell where `self` is wanted: softmax needs the
    /// whole row and becomes an operation of its own.
    pub(crate) fn pointwise(self) -> Self {
        match self {
            Self::Softmax => Self::Linear,
            other => other,
        }
    }
}

/// Applies an activation: `y = f(x)`. Output shape: the input's. No parameters.
///
/// ```
/// use cnn_gpu::model::{Activation, ActivationLayer, Dense, Sequential};
/// let model = Sequential::new([4, 4, 1])
///     .add(cnn_gpu::model::Flatten::new())
///     .add(Dense::new(10))
///     .add(ActivationLayer::new(Activation::Softmax));
/// assert_eq!(model.output_shape()?, vec![10]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActivationLayer {
    /// Default: `activation`, then `activation_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The function.
    pub activation: Activation,
}

impl ActivationLayer {
    /// A layer that applies `activation`.
    pub fn new(activation: Activation) -> Self {
        Self {
            name: None,
            activation,
        }
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl LayerSpec for ActivationLayer {
    fn kind(&self) -> &'static str {
        "Activation"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        Ok(input.to_vec())
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        Ok(b.activation(x, self.activation))
    }
}
