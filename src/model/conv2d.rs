//! Two-dimensional convolution.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec, image, yes};
use super::{Activation, Initializer, Regularizer};
use crate::plan::{Builder, ConvShape, Value};
use crate::shape::{Padding, Pair, Window};
use crate::words::counted;

/// 2-D convolution (cross-correlation, as in every framework):
///
/// ```text
/// y[n, oy, ox, oc] = f( bias[oc] + Σ_{ky, kx, ic}
///     x[n, oy*sh + ky*dh - pad, ox*sw + kx*dw - pad, ic] * kernel[ky, kx, ic, oc] )
/// ```
///
/// Input `[h, w, c]`, output `[oh, ow, filters]`, kernel `[kh, kw, c / groups, filters]`, bias
/// `[filters]`. With groups, the output channels of group `g`, which start at
/// `g * filters / groups`, read only that group's input channels, which start at `g * c / groups`.
/// Errors: an input that is not an image or is smaller than a `valid` window, a number of groups
/// that does not divide both channel counts, strides combined with a dilation rate.
///
/// ```
/// use cnn_gpu::model::{Activation, Conv2D, Sequential};
/// use cnn_gpu::shape::Padding;
/// let model = Sequential::new([28, 28, 1])
///     .add(Conv2D::new(32, 3).activation(Activation::Relu).strides(2).padding(Padding::Same));
/// assert_eq!(model.output_shape()?, vec![14, 14, 32]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Conv2D {
    /// Default: `conv2d`, then `conv2d_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Number of output channels.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel_size: Pair,
    /// Default 1.
    #[serde(default = "one")]
    pub strides: Pair,
    /// Default `valid`.
    #[serde(default)]
    pub padding: Padding,
    /// Spacing between kernel elements. Default 1; larger values require strides of 1.
    #[serde(default = "one")]
    pub dilation_rate: Pair,
    /// Number of channel groups, each convolved separately; must divide both channel counts.
    /// Default 1.
    #[serde(default = "one_group")]
    pub groups: usize,
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

pub(super) fn one() -> Pair {
    1.into()
}

fn one_group() -> usize {
    1
}

pub(super) fn zeros() -> Initializer {
    Initializer::Zeros
}

impl Conv2D {
    /// `filters` kernels of `kernel_size` (one number, or height and width); all other arguments
    /// have their defaults.
    pub fn new(filters: usize, kernel_size: impl Into<Pair>) -> Self {
        Self {
            name: None,
            filters,
            kernel_size: kernel_size.into(),
            strides: one(),
            padding: Padding::Valid,
            dilation_rate: one(),
            groups: 1,
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

    /// Sets the spacing between kernel elements.
    pub fn dilation_rate(mut self, dilation_rate: impl Into<Pair>) -> Self {
        self.dilation_rate = dilation_rate.into();
        self
    }

    /// Sets the number of groups.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
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

    fn shape(&self, input: &[usize]) -> Result<ConvShape, String> {
        let [ih, iw, channels] = image(input)?;
        let (filters, groups) = (self.filters, self.groups);
        if filters == 0 {
            return Err("filters must be at least 1".into());
        }
        if groups == 0 || !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
            return Err(format!(
                "{} and {} cannot be divided into {}: expected a divisor of both",
                counted(channels, "input channel"),
                counted(filters, "filter"),
                counted(groups, "group")
            ));
        }
        let window = window(
            [ih, iw],
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
        )?;
        Ok(ConvShape {
            groups,
            ..ConvShape::new(window, channels, filters)
        })
    }
}

/// The window of a convolution.
pub(super) fn window(
    input: [usize; 2],
    kernel_size: Pair,
    strides: Pair,
    dilation_rate: Pair,
    padding: Padding,
) -> Result<Window, String> {
    if strides != one() && dilation_rate != one() {
        let (Pair([sh, sw]), Pair([dh, dw])) = (strides, dilation_rate);
        return Err(format!(
            "strides of {sh}x{sw} cannot be combined with a dilation_rate of {dh}x{dw}: expected 1 for one of them"
        ));
    }
    Window::dilated(input, (kernel_size, dilation_rate), strides, padding)
}

impl LayerSpec for Conv2D {
    fn kind(&self) -> &'static str {
        "Conv2D"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let window = self.shape(input)?.window;
        Ok(vec![window.oh, window.ow, self.filters])
    }

    fn parameters(&self, input: &[usize]) -> Vec<ParameterSpec> {
        let Pair([kh, kw]) = self.kernel_size;
        let channels = input.last().copied().unwrap_or(0);
        let kernel = ParameterSpec::new(
            "kernel",
            vec![kh, kw, channels / self.groups.max(1), self.filters],
            self.kernel_initializer,
        );
        let bias = ParameterSpec::new("bias", vec![self.filters], self.bias_initializer);
        let kernel = kernel.regularized(self.kernel_regularizer);
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
