//! The layers of a network, as a graph describes them.

use super::factors::Factors;
use super::pieces::Piece;
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

    /// How many numbers it multiplies by or adds: one for all, or one for each channel.
    pub fn factors(&self) -> usize {
        let Self::Affine { scale, shift } = self else {
            return 1;
        };
        let factors = [scale, shift].into_iter().flatten();
        let lengths = factors.map(|factors| factors.values.len());
        lengths.max().unwrap_or(1)
    }

    /// Does a piece in addition, if it multiplies and adds; unless that would merge two layers which both multiply by one
    /// number.
    pub fn join(&mut self, piece: &Piece) -> bool {
        let Self::Affine { scale, shift } = self else {
            return false;
        };
        let combined = |old: &Option<Factors>, factors: &Factors, combine: fn(f64, f64) -> f64| {
            let combined = old.as_ref().map(|old| old.zip(factors, combine));
            combined.unwrap_or_else(|| factors.clone())
        };
        match piece {
            Piece::Activation(_) | Piece::Sum(_) => return false,
            Piece::Plus(factors) => *shift = Some(combined(shift, factors, |a, b| a + b)),
            Piece::Times(factors) => {
                let factor = |factors: &Factors| factors.single().is_some();
                let one = factor(factors) && shift.iter().all(factor);
                if one && scale.as_ref().is_some_and(factor) {
                    return false;
                }
                *scale = Some(combined(scale, factors, |a, b| a * b));
                *shift = shift.as_ref().map(|old| old.zip(factors, |a, b| a * b));
            }
        }
        true
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
