//! The layers of a network, as a graph describes them.

use super::factors::Factors;
use super::placement::{Placement, Sides};
use super::value::Floats;
use crate::model::{Activation, PoolKind};

/// A layer, and what it was read from.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub kind: LinkKind,
    /// The node in messages.
    pub label: String,
    /// A name for the layer, if the node has a usable one.
    pub name: Option<String>,
    /// The number of its node in the graph.
    pub node: usize,
    /// The shape of its first input: `[h, w, c]` or `[features]`.
    pub input: Vec<usize>,
    /// The layers whose outputs it takes; `None` is the input.
    pub from: Vec<Option<usize>>,
}

/// What a layer computes.
#[derive(Clone, Debug)]
pub(super) enum LinkKind {
    Convolution(ConvolutionLink),
    Connection(ConnectionLink),
    Normalization(NormalizationLink),
    /// `x scale + shift`, at least one of which is there.
    Affine {
        scale: Option<Factors>,
        shift: Option<Factors>,
    },
    Pool(WindowPool),
    GlobalPool {
        kind: PoolKind,
        keepdims: bool,
    },
    Zeros(Sides),
    /// Cells that change no maximum, which only a max pool behind them may read.
    Neutral(Sides, NeutralCells),
    Flatten,
    Activation(Activation),
    /// The sum of several layers.
    Sum,
    /// The channels or features of several layers side by side.
    Concatenation,
}

/// Cells around an image that change no maximum of windows that reach into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NeutralCells {
    /// Copies of the outermost cells.
    Copies,
    /// The lowest number, or minus infinity.
    Lowest,
}

/// A convolution.
#[derive(Clone, Debug)]
pub(super) struct ConvolutionLink {
    /// `[out, in / groups, kh, kw]`
    pub kernel: Floats,
    pub bias: Option<Floats>,
    pub groups: usize,
    pub over: Placement,
}

/// A fully connected layer.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLink {
    /// `[in, out]`, in this crate's order of inputs.
    pub kernel: Floats,
    pub bias: Option<Floats>,
}

/// A batch normalization; its vectors are in this crate's order.
#[derive(Clone, Debug)]
pub(super) struct NormalizationLink {
    pub gamma: Floats,
    pub beta: Floats,
    pub mean: Floats,
    pub variance: Floats,
    pub epsilon: f32,
}

/// A pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct WindowPool {
    pub kind: PoolKind,
    /// Whether an average divides by the number of all cells, those of padding too.
    pub counts_padding: bool,
    /// Whether it is a reduction of one axis, the first step of one over the image.
    pub is_reduction: bool,
    pub over: Placement,
}

impl LinkKind {
    /// Each channel times its factor.
    pub fn scaled(scale: Factors) -> Self {
        Self::Affine {
            scale: Some(scale),
            shift: None,
        }
    }

    /// An addition to each channel.
    pub fn shifted(shift: Factors) -> Self {
        Self::Affine {
            scale: None,
            shift: Some(shift),
        }
    }

    /// Whether no element of the output is negative; `None` if that depends on the inputs.
    pub fn is_positive(&self) -> Option<bool> {
        match self {
            Self::Pool(_)
            | Self::GlobalPool { .. }
            | Self::Zeros(_)
            | Self::Sum
            | Self::Concatenation => None,
            Self::Activation(activation) => Some(matches!(
                activation,
                Activation::Relu | Activation::Sigmoid | Activation::Softplus | Activation::Softmax
            )),
            Self::Convolution(_)
            | Self::Connection(_)
            | Self::Normalization(_)
            | Self::Affine { .. }
            | Self::Neutral(..)
            | Self::Flatten => Some(false),
        }
    }

    pub fn is_flatten(&self) -> bool {
        matches!(self, Self::Flatten)
    }
}

impl Link {
    /// The height and width of its input, if that is an image.
    pub fn image(&self) -> Option<[usize; 2]> {
        match self.input.as_slice() {
            &[h, w, _] => Some([h, w]),
            _ => None,
        }
    }

    /// The number of channels, or features, of its input.
    pub fn channels(&self) -> usize {
        self.input.last().copied().unwrap_or(1)
    }
}
