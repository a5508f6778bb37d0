//! Depthwise convolution.

use serde::{Deserialize, Serialize};

use super::conv2d::{one, window, zeros};
use super::layer::{LayerSpec, ParameterSpec, image, yes};
use super::{Activation, Initializer, Regularizer};
use crate::plan::{Builder, ConvShape, Value};
use crate::shape::{Padding, Pair};

/// Depthwise 2-D convolution: each input channel is convolved with `depth_multiplier` kernels:
///
/// ```text
/// y[n, oy, ox, ic * m + j] = f( bias[ic * m + j] + Σ_{ky, kx}
///     x[n, oy*sh + ky*dh - pad, ox*sw + kx*dw - pad, ic] * kernel[ky, kx, ic, j] )
/// ```
///
/// Input `[h, w, c]`, output `[oh, ow, c * m]`, kernel `[kh, kw, c, m]`, bias `[c * m]`, where `m`
/// is the depth multiplier. Equivalent to a [`Conv2D`](super::Conv2D) with `c` groups. Errors: an
/// input that is not an image or is smaller than a `valid` window, a multiplier of 0, strides
/// combined with a dilation rate.
///
/// ```
/// use cnn_gpu::model::{DepthwiseConv2D, Sequential};
/// let model = Sequential::new([28, 28, 3]).add(DepthwiseConv2D::new(3).depth_multiplier(2));
/// assert_eq!(model.output_shape()?, vec![26, 26, 6]);
/// assert_eq!(model.parameter_count()?, 9 * 3 * 2 + 6);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DepthwiseConv2D {
    /// Default: `depthwise_conv2d`, then `depthwise_conv2d_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Height and width of the kernels.
    pub kernel_size: Pair,
    /// Default 1.
    #[serde(default = "one")]
    pub strides: Pair,
    /// Default `valid`.
    #[serde(default)]
    pub padding: Padding,
    /// Kernels, and output channels, per input channel. Default 1.
    #[serde(default = "one_kernel")]
    pub depth_multiplier: usize,
    /// Spacing between kernel elements. Default 1; larger values require strides of 1.
    #[serde(default = "one")]
    pub dilation_rate: Pair,
    /// Default `linear`.
    #[serde(default)]
    pub activation: Activation,
    /// Default true.
    #[serde(default = "yes")]
    pub use_bias: bool,
    /// Default `glorot_uniform`.
    #[serde(default)]
    pub depthwise_initializer: Initializer,
    /// Default `zeros`.
    #[serde(default = "zeros")]
    pub bias_initializer: Initializer,
    /// Penalty on the kernel. Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub depthwise_regularizer: Regularizer,
    /// Penalty on the bias. Default none.
    #[serde(default, skip_serializing_if = "Regularizer::is_none")]
    pub bias_regularizer: Regularizer,
}

fn one_kernel() -> usize {
    1
}

impl DepthwiseConv2D {
    /// Kernels of `kernel_size` (one number, or height and width); all other arguments have their
    /// defaults.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        Self {
            name: None,
            kernel_size: kernel_size.into(),
            strides: one(),
            padding: Padding::Valid,
            depth_multiplier: 1,
            dilation_rate: one(),
            activation: Activation::Linear,
            use_bias: true,
            depthwise_initializer: Initializer::GlorotUniform,
            bias_initializer: Initializer::Zeros,
            depthwise_regularizer: Regularizer::default(),
            bias_regularizer: Regularizer::default(),
        }
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the strides.
    pub fn strides(mut self, strides: impl Into<Pair>) -> Self {
        self.strides = strides.into();
        self
    }

    /// Sets the padding.
    pub fn padding(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Sets the number of kernels per channel.
    pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
        self.depth_multiplier = depth_multiplier;
        self
    }

    /// Sets the spacing between kernel elements.
    pub fn dilation_rate(mut self, dilation_rate: impl Into<Pair>) -> Self {
        self.dilation_rate = dilation_rate.into();
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

    /// Sets the kernels' initializer.
    pub fn depthwise_initializer(mut self, initializer: Initializer) -> Self {
        self.depthwise_initializer = initializer;
        self
    }

    /// Sets the bias's initializer.
    pub fn bias_initializer(mut self, initializer: Initializer) -> Self {
        self.bias_initializer = initializer;
        self
    }

    /// Sets the penalty on the kernel.
    pub fn depthwise_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.depthwise_regularizer = regularizer;
        self
    }

    /// Sets the penalty on the bias.
    pub fn bias_regularizer(mut self, regularizer: Regularizer) -> Self {
        self.bias_regularizer = regularizer;
        self
    }

    fn shape(&self, input: &[usize]) -> Result<ConvShape, String> {
        let [ih, iw, channels] = image(input)?;
        if self.depth_multiplier == 0 {
            return Err("depth_multiplier must be at least 1".into());
        }
        let initializer = self.depthwise_initializer;
        if initializer.passes_channels() {
            return Err(format!(
                "initializer `{}` passes channels through kernels that read several; expected another one",
                initializer.dirac_name()
            ));
        }
        let window = window(
            [ih, iw],
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
        )?;
        let filters = channels.saturating_mul(self.depth_multiplier);
        Ok(ConvShape {
            groups: channels,
            ..ConvShape::new(window, channels, filters)
        })
    }
}

impl LayerSpec for DepthwiseConv2D {
    fn kind(&self) -> &'static str {
        "DepthwiseConv2D"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let ConvShape { window, oc, .. } = self.shape(input)?;
        Ok(vec![window.oh, window.ow, oc])
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let Pair([kh, kw]) = self.kernel_size;
        let channels = input.last().copied().unwrap_or(0);
        let multiplier = self.depth_multiplier;
        let kernel = vec![kh, kw, channels, multiplier];
        let kernel = ParameterSpec::new("kernel", kernel, self.depthwise_initializer);
        let bias = vec![channels.saturating_mul(multiplier)];
        let bias = ParameterSpec::new("bias", bias, self.bias_initializer);
        let kernel = kernel.regularized(self.depthwise_regularizer);
        let bias = bias.regularized(self.bias_regularizer);
        std::iter::once(kernel)
            .chain(self.use_bias.then_some(bias))
            .collect()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        let shape = self.shape(&x.shape)?;
        let kernel = b.parameter("kernel")?;
        let bias = self.use_bias.then(|| b.parameter("bias")).transpose()?;
        Ok(b.conv2d(x, kernel, bias, shape, self.activation))
    }
}
