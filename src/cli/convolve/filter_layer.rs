//! The layers that slide filters.

use cnn_gpu::model::{Activation, Conv2D, DepthwiseConv2D, Layer, ResolvedLayer, Sequential};
use cnn_gpu::shape::{Padding, Pair};
use cnn_gpu::{Error, Result};

/// How the filter moves; what is not given is the layer's own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Movement {
    pub padding: Option<Padding>,
    pub strides: Option<Pair>,
    pub dilation: Option<Pair>,
}

impl Movement {
    /// Moves the filters of a layer so.
    pub fn apply_to(self, layer: &mut Layer) {
        let (padding, strides, dilation) = match layer {
            Layer::Conv2D(Conv2D {
                padding,
                strides,
                dilation_rate,
                ..
            })
            | Layer::DepthwiseConv2D(DepthwiseConv2D {
                padding,
                strides,
                dilation_rate,
                ..
            }) => (padding, strides, dilation_rate),
            _ => return,
        };
        *padding = self.padding.unwrap_or(*padding);
        *strides = self.strides.unwrap_or(*strides);
        *dilation = self.dilation.unwrap_or(*dilation);
    }
}

/// A layer that slides filters: a `Conv2D`, or a `DepthwiseConv2D`, which is a convolution with a
/// group for each channel.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterLayer {
    pub name: String,
    /// The number of output channels.
    pub filters: usize,
    groups: usize,
    pub kernel_size: Pair,
    pub strides: Pair,
    pub padding: Padding,
    pub dilation: Pair,
    pub use_bias: bool,
    pub activation: Activation,
}

impl FilterLayer {
    /// The layers of a network that slide filters.
    pub fn all(model: &Sequential) -> Result<Vec<Self>> {
        Ok(model.resolve()?.iter().filter_map(Self::of).collect())
    }

    /// The layer of this name.
    ///
    /// # Errors
    /// No such layer, or one of another kind; the message lists those that there are.
    pub fn named(model: &Sequential, name: &str) -> Result<Self> {
        let mut all = Self::all(model)?;
        match all.iter().position(|layer| layer.name == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None => Err(Error::Argument(format!(
                "--layer {name}: expected {}",
                expected(&all)
            ))),
        }
    }

    fn of(resolved: &ResolvedLayer<'_>) -> Option<Self> {
        let channels = resolved.input.last().copied()?;
        match resolved.layer {
            Layer::Conv2D(conv) => Some(Self {
                name: resolved.name.clone(),
                filters: conv.filters,
                groups: conv.groups,
                kernel_size: conv.kernel_size,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation_rate,
                use_bias: conv.use_bias,
                activation: conv.activation,
            }),
            Layer::DepthwiseConv2D(conv) => Some(Self {
                name: resolved.name.clone(),
                filters: channels.saturating_mul(conv.depth_multiplier),
                groups: channels,
                kernel_size: conv.kernel_size,
                strides: conv.strides,
                padding: conv.padding,
                dilation: conv.dilation_rate,
                use_bias: conv.use_bias,
                activation: conv.activation,
            }),
            _ => None,
        }
    }

    /// The group of an output channel. Its filter reads only the input channels of its group.
    pub fn group(&self, channel: usize) -> usize {
        channel * self.groups / self.filters.max(1)
    }
}

/// `one of the network's convolutions: conv2d, conv2d_1`
pub fn expected(layers: &[FilterLayer]) -> String {
    let names: Vec<&str> = layers.iter().map(|layer| layer.name.as_str()).collect();
    match names.as_slice() {
        [] => "the run of a network with a convolution, and this one has none".into(),
        names => format!("a convolution of the network: {}", names.join(", ")),
    }
}
