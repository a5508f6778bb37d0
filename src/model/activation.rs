//! Activations, as an argument of a layer and as a separate layer.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec};
use crate::plan::{Builder, Value};

/// An activation function, with Keras's defaults. Most derivatives depend on the *output* alone,
/// so training keeps one tensor per layer instead of two; see [`Activation::keeps_input`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Activation {
    /// `y = x`
    #[default]
    Linear,
    /// `y = max(x, 0)`; `dx = dy` where `y > 0`, else 0.
    Relu,
    /// `y = x` where `x > 0`, else `0.2 x`; `dx = dy` where `y > 0`, else `0.2 dy`.
    LeakyRelu,
    /// `y = x` where `x > 0`, else `exp(x) - 1`; `dx = dy` where `y >= 0`, else `dy (y + 1)`.
    Elu,
    /// `y = s x` where `x > 0`, else `s a (exp(x) - 1)`, with `s = 1.0507009873554805` and
    /// `a = 1.6732632423543772` (Klambauer et al., 2017); `dx = s dy` where `y >= 0`, else
    /// `dy (y + s a)`.
    Selu,
    /// `y = x Φ(x)` with `Φ(x) = (1 + erf(x / √2)) / 2`, not the approximation by `tanh`;
    /// `dx = dy (Φ(x) + x φ(x))` with `φ(x) = exp(-x² / 2) / √(2π)`.
    Gelu,
    /// `y = x σ(x)` with `σ(x) = 1 / (1 + exp(-x))`, also known as swish;
    /// `dx = dy σ(x) (1 + x (1 - σ(x)))`.
    #[serde(alias = "swish")]
    Silu,
    /// `y = ln(1 + exp(x))`; `dx = dy σ(x)`.
    Softplus,
    /// `y = 1 / (1 + exp(-x))`; `dx = dy y (1 - y)`.
    Sigmoid,
    /// `y = tanh(x)`; `dx = dy (1 - y²)`.
    Tanh,
    /// `y_i = exp(x_i) / Σ_j exp(x_j)` over the last axis; `dx = y (dy - Σ_j dy_j y_j)`.
    Softmax,
}

/// The slope of [`Activation::LeakyRelu`] below zero.
const LEAK: f64 = 0.2;
/// The slope of [`Activation::Selu`] above zero.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// [`Activation::Selu`] tends to the negative of this at minus infinity, before scaling.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

impl Activation {
    /// The pointwise activations other than linear.
    pub const POINTWISE: [Self; 9] = [
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Selu,
        Self::Gelu,
        Self::Silu,
        Self::Softplus,
        Self::Sigmoid,
        Self::Tanh,
    ];

    /// The name as Keras and model files write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Relu => "relu",
            Self::LeakyRelu => "leaky_relu",
            Self::Elu => "elu",
            Self::Selu => "selu",
            Self::Gelu => "gelu",
            Self::Silu => "silu",
            Self::Softplus => "softplus",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Softmax => "softmax",
        }
    }

    /// Whether the derivative needs the input, which training then keeps as well. GELU and SiLU are
    /// not monotonic, so their output does not determine the slope. Softplus's output does, but
    /// loses precision in f32 where it is small.
    pub fn keeps_input(self) -> bool {
        match self {
            Self::Gelu | Self::Silu | Self::Softplus => true,
            Self::Linear
            | Self::Relu
            | Self::LeakyRelu
            | Self::Elu
            | Self::Selu
            | Self::Sigmoid
            | Self::Tanh
            | Self::Softmax => false,
        }
    }

    /// `f(x)` of one element; NaN stays NaN. Softmax needs a whole row and acts as linear here.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Self::Linear | Self::Softmax => x,
            // Not `max`, which would hide NaN.
            Self::Relu if x <= 0.0 => 0.0,
            Self::LeakyRelu if x <= 0.0 => LEAK * x,
            Self::Elu if x <= 0.0 => x.exp_m1(),
            Self::Relu | Self::LeakyRelu | Self::Elu => x,
            Self::Selu if x <= 0.0 => SELU_SCALE * SELU_ALPHA * x.exp_m1(),
            Self::Selu => SELU_SCALE * x,
            Self::Gelu => x * normal_share(x),
            Self::Silu => x * sigmoid(x),
            Self::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
        }
    }

    /// `f'(x)` of one element, given what training keeps: `y = f(x)`, or `x` where
    /// [`Activation::keeps_input`]. Softmax acts as in [`Activation::apply`].
    pub fn derivative(self, kept: f64) -> f64 {
        match self {
            Self::Linear | Self::Softmax => 1.0,
            Self::Relu | Self::LeakyRelu if kept > 0.0 => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu => LEAK,
            Self::Elu if kept < 0.0 => kept + 1.0,
            Self::Elu => 1.0,
            Self::Selu if kept < 0.0 => kept + SELU_SCALE * SELU_ALPHA,
            Self::Selu => SELU_SCALE,
            Self::Gelu => {
                let density = (-0.5 * kept * kept).exp() / std::f64::consts::TAU.sqrt();
                normal_share(kept) + kept * density
            }
            Self::Silu => {
                let s = sigmoid(kept);
                s * (1.0 + kept * (1.0 - s))
            }
            Self::Softplus => sigmoid(kept),
            Self::Sigmoid => kept * (1.0 - kept),
            Self::Tanh => (1.0 - kept) * (1.0 + kept),
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The cumulative distribution function of the standard normal distribution.
fn normal_share(x: f64) -> f64 {
    // `1 + erf(..)` would lose the digits of a small result.
    0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

/// Applies an activation: `y = f(x)`; see [`Activation`] for the formulas. The output has the
/// input's shape. No parameters, no errors.
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
#[non_exhaustive]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_exact_far_out_and_near_zero() {
        // Computed with Python's math.erfc, log1p, tanh and expm1.
        let expected = [
            (Activation::Gelu, -5.5, -1.044_425_935_623_83e-7),
            (Activation::Gelu, -6.0, -5.919_525_870_226_21e-9),
            (Activation::Softplus, -17.0, 4.139_937_633_089_75e-8),
            (Activation::Softplus, -14.0, 8.315_283_733_837_54e-7),
            (Activation::Tanh, 1e-4, 9.999_999_966_666_67e-5),
            (Activation::Elu, -1e-6, -9.999_995_000_001_67e-7),
        ];
        for (f, x, y) in expected {
            let error = (f.apply(x) / y - 1.0).abs();
            assert!(error < 1e-12, "{f:?}({x}): {error}");
        }
    }

    #[test]
    fn a_derivative_is_the_slope() {
        for f in Activation::POINTWISE {
            for i in -80..=80 {
                let x = f64::from(i) / 4.0 + 0.01;
                let slope = (f.apply(x + 1e-5) - f.apply(x - 1e-5)) / 2e-5;
                let kept = if f.keeps_input() { x } else { f.apply(x) };
                let error = (f.derivative(kept) - slope).abs();
                assert!(error < 1e-8, "{f:?}'({x}): {error}");
            }
        }
    }
}
