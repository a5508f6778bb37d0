//! The operations: what is computed, never how.
//!
//! `n` is the batch, images are `[n, h, w, c]`, kernels `[kh, kw, ic, oc]` or `[in, out]`; `dx` is
//! the gradient of the loss by `x`. Rows of the batch past the valid ones hold zeros on entry and
//! get a zero gradient from the loss, so that of the others only batch normalization, whose
//! statistics are the valid rows', and the penalties have to know about short batches.

use super::BufferId;
use crate::model::{Activation, Loss, PoolKind, Regularizer};
use crate::optimizer::{Clip, Optimizer, Rule};
use crate::rng::Key;
use crate::shape::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Where the kernel reads.
    pub window: Window,
    /// Input channels.
    pub ic: usize,
    /// Output channels.
    pub oc: usize,
    /// Groups of channels: the outputs of one see only its own inputs. The kernel then holds
    /// `ic / groups` input channels.
    pub groups: usize,
}

impl ConvShape {
    /// A convolution of one group.
    pub fn new(window: Window, ic: usize, oc: usize) -> Self {
        Self {
            window,
            ic,
            oc,
            groups: 1,
        }
    }

    /// Input and output channels of a group.
    pub fn group(&self) -> [usize; 2] {
        [self.ic / self.groups, self.oc / self.groups]
    }

    /// Elements of the kernel.
    pub fn kernel_len(&self) -> usize {
        self.window.taps() * self.group()[0] * self.oc
    }

    /// One group, and a window without gaps.
    pub fn is_plain(&self) -> bool {
        self.groups == 1 && (self.window.dh, self.window.dw) == (1, 1)
    }
}

/// The sizes of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// Where the pool reads.
    pub window: Window,
    /// Channels.
    pub c: usize,
    /// What it makes of the cells.
    pub kind: PoolKind,
}

/// The penalty on one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// The parameter.
    pub w: BufferId,
    /// Its gradient, in training.
    pub gradient: Option<BufferId>,
    /// How much it costs.
    pub regularizer: Regularizer,
}

/// What a dropout draws: one number for each of `width` places of a sample, which repeat until all
/// its `size` cells have one. Cell `i` of the batch is kept where
/// `key.bits_of(i / size * width + i % width, number) >= rate * 2^32`, under the step's key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The share to drop, from 0 to less than 1.
    pub rate: f64,
    /// The dropout's number in its plan, so that no two draw the same.
    pub number: u32,
    /// Cells of a sample.
    pub size: usize,
    /// Draws for a sample: `size`, or one for each channel.
    pub width: usize,
}

impl Dropout {
    /// Draws below it are dropped.
    pub fn threshold(&self) -> u32 {
        (self.rate * f64::from(1 << 16) * f64::from(1 << 16)) as u32
    }

    /// What is kept is multiplied with this.
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Whether cell `i` of the batch is kept.
    pub fn keeps(&self, key: Key, i: usize) -> bool {
        let draw = i / self.size * self.width + i % self.width;
        key.bits_of(draw as u32, self.number) >= self.threshold()
    }
}

/// The sizes of a batch normalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels, the last axis.
    pub c: usize,
    /// What is added to the variance.
    pub epsilon: f64,
}

/// A gradient that goes on through an activation: the result is multiplied by the activation's
/// derivative, a function of `y`. It is fused into the operation that makes the gradient, so that a
/// layer's backward pass starts at its own pre-activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Through {
    /// Of the gradient's shape: the activation's output, or its input where
    /// [`Activation::keeps_input`].
    pub y: BufferId,
    /// A pointwise activation other than linear.
    pub activation: Activation,
}

/// One operation.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant's formula names its fields")]
pub enum Op {
    /// `x[r, ..] = image[order[offset + r], ..] / 255`, `labels[r] = label[order[offset + r]]` for
    /// the valid rows `r`; zeros in the others.
    Gather { x: BufferId, labels: BufferId },
    /// `y = f(x ⋆ w + bias)`; see [`ConvShape`] for groups. A window's cells lie `dh`, `dw` apart.
    Conv2dForward {
        shape: ConvShape,
        x: BufferId,
        w: BufferId,
        bias: Option<BufferId>,
        y: BufferId,
        activation: Activation,
    },
    /// `dx[n, iy, ix, ic] = f'(x) * Σ_{ky, kx, oc} dy[n, oy, ox, oc] * w[ky, kx, ic, oc]` over all
    /// output cells whose window has `(iy, ix)` at `(ky, kx)`.
    Conv2dBackwardInput {
        shape: ConvShape,
        dy: BufferId,
        w: BufferId,
        dx: BufferId,
        through: Option<Through>,
    },
    /// `dw[ky, kx, ic, oc] = Σ_{n, oy, ox} x[n, oy*sh + ky - pad, ox*sw + kx - pad, ic] *
    /// dy[n, oy, ox, oc]` and `dbias[oc] = Σ_{n, oy, ox} dy[n, oy, ox, oc]`.
    Conv2dBackwardWeight {
        shape: ConvShape,
        x: BufferId,
        dy: BufferId,
        dw: BufferId,
        dbias: Option<BufferId>,
    },
    /// `y = pool(x)`; a max pool in training also writes `argmax`: `ky * kw + kx` of the cell taken.
    Pool2dForward {
        shape: PoolShape,
        x: BufferId,
        y: BufferId,
        argmax: Option<BufferId>,
    },
    /// `dx[n, iy, ix, c] = f'(x) * Σ dy[n, oy, ox, c] * share` over all windows that hold
    /// `(iy, ix)`: the share is 1 for a sum, `1 / real cells` for an average, and for a max 1 where
    /// `argmax` names this cell, else 0.
    Pool2dBackward {
        shape: PoolShape,
        dy: BufferId,
        argmax: Option<BufferId>,
        dx: BufferId,
        through: Option<Through>,
    },
    /// `y[n, o] = f(bias[o] + Σ_i x[n, i] * w[i, o])`.
    DenseForward {
        inputs: usize,
        outputs: usize,
        x: BufferId,
        w: BufferId,
        bias: Option<BufferId>,
        y: BufferId,
        activation: Activation,
    },
    /// `dx[n, i] = f'(x) * Σ_o dy[n, o] * w[i, o]`.
    DenseBackwardInput {
        inputs: usize,
        outputs: usize,
        dy: BufferId,
        w: BufferId,
        dx: BufferId,
        through: Option<Through>,
    },
    /// `dw[i, o] = Σ_n x[n, i] * dy[n, o]`, `dbias[o] = Σ_n dy[n, o]`.
    DenseBackwardWeight {
        inputs: usize,
        outputs: usize,
        x: BufferId,
        dy: BufferId,
        dw: BufferId,
        dbias: Option<BufferId>,
    },
    /// `y = f(x)` for a pointwise activation.
    ActivationForward {
        activation: Activation,
        x: BufferId,
        y: BufferId,
    },
    /// `dx = f'(y) * dy`.
    ActivationBackward {
        through: Through,
        dy: BufferId,
        dx: BufferId,
    },
    /// `y[r, i] = exp(x[r, i]) / Σ_j exp(x[r, j])` over rows of `width` cells.
    SoftmaxForward {
        width: usize,
        x: BufferId,
        y: BufferId,
    },
    /// `dx[r, i] = f'(x) * y[r, i] * (dy[r, i] - Σ_j dy[r, j] * y[r, j])`.
    SoftmaxBackward {
        width: usize,
        dy: BufferId,
        y: BufferId,
        dx: BufferId,
        through: Option<Through>,
    },
    /// The loss of each row against the targets `t` of its label (see [`Loss`]), times the weight
    /// `class_weights[label[r]]`, or 1 without them. Over the valid rows the losses and the rows
    /// whose largest prediction is the label's (the first of equal ones, and never beside a NaN) are
    /// summed into the step's slot. Of a softmax the largest logit is meant, which does not round.
    /// The cross-entropies start from the logits `x`, with the last activation in them:
    ///
    /// | loss | `predictions` | `dx[r, i]` of a valid row, in training |
    /// |---|---|---|
    /// | categorical cross-entropy | `p = softmax(x)` | `weight * (p[r, i] - t[i]) / rows` |
    /// | binary cross-entropy | `p = sigmoid(x)` | `weight * (p[r, i] - t[i]) / (width * rows)` |
    /// | mean squared error | `x` | `2 * weight * (x[r, i] - t[i]) / (width * rows)` |
    ///
    /// The predictions have a column for each class: of a single sigmoid `1 - p` and `p`.
    Loss {
        loss: Loss,
        width: usize,
        x: BufferId,
        labels: BufferId,
        predictions: BufferId,
        dx: Option<BufferId>,
        class_weights: Option<Vec<f32>>,
    },
    /// `y = x / (1 - rate)` where a draw keeps the cell, else 0; see [`Dropout`]. The backward pass
    /// is the same of the gradient, with the same draws: `dx = f'(through) * dropout(dy)`.
    Dropout {
        dropout: Dropout,
        x: BufferId,
        y: BufferId,
        through: Option<Through>,
    },
    /// `y = f'(through) * (scale * x + offset)`; the backward pass is the same of the gradient, without
    /// the offset.
    Rescale {
        scale: f32,
        offset: f32,
        x: BufferId,
        y: BufferId,
        through: Option<Through>,
    },
    /// Over the `m` cells of the valid rows, channel by channel: `mean = Σ x / m`,
    /// `variance = Σ (x - mean)² / m`, and
    /// `moving = momentum * moving + (1 - momentum) * (mean, variance)`.
    BatchNormStatistics {
        norm: BatchNorm,
        x: BufferId,
        mean: BufferId,
        variance: BufferId,
        moving: [BufferId; 2],
        momentum: f64,
    },
    /// `y = gamma * x̂ + beta` with `x̂ = (x - mean) / sqrt(variance + epsilon)`, channel by channel;
    /// without gamma and beta 1 and 0 stand for them.
    BatchNormForward {
        norm: BatchNorm,
        x: BufferId,
        mean: BufferId,
        variance: BufferId,
        gamma: Option<BufferId>,
        beta: Option<BufferId>,
        y: BufferId,
    },
    /// Over the cells of the valid rows: `dgamma = Σ dy * x̂`, `dbeta = Σ dy`.
    BatchNormBackwardWeight {
        norm: BatchNorm,
        x: BufferId,
        dy: BufferId,
        mean: BufferId,
        variance: BufferId,
        dgamma: BufferId,
        dbeta: BufferId,
    },
    /// `dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / m - x̂ * dgamma / m)` in the `m` cells of
    /// the valid rows, 0 in the others.
    BatchNormBackwardInput {
        norm: BatchNorm,
        x: BufferId,
        dy: BufferId,
        mean: BufferId,
        variance: BufferId,
        gamma: Option<BufferId>,
        dgamma: BufferId,
        dbeta: BufferId,
        dx: BufferId,
    },
    /// For each penalty: the step's loss grows by `rows * (l1 * Σ |w| + l2 * Σ w²)`, so that the mean
    /// over the rows grows by the penalty, and in training the gradient by
    /// `l1 * sign(w) + 2 * l2 * w`.
    Regularize { penalties: Vec<Penalty> },
    /// Makes gradients smaller where they are too large; see [`Clip`]. By norm, `norms[k]` is that of
    /// gradient `k` before.
    ClipGradients {
        clip: Clip,
        gradients: Vec<BufferId>,
        norms: Option<BufferId>,
    },
    /// One optimizer step over all parameters; see [`Optimizer`] for the formulas.
    Update {
        optimizer: Optimizer,
        params: Vec<BufferId>,
        gradients: Vec<BufferId>,
    },
}

impl Op {
    /// The name that the kernel, the pipeline, the test and the bench row share.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Gather { .. } => "gather",
            Self::Conv2dForward { .. } => "conv2d_forward",
            Self::Conv2dBackwardInput { .. } => "conv2d_backward_input",
            Self::Conv2dBackwardWeight { .. } => "conv2d_backward_weight",
            Self::Pool2dForward { .. } => "pool2d_forward",
            Self::Pool2dBackward { .. } => "pool2d_backward",
            Self::DenseForward { .. } => "dense_forward",
            Self::DenseBackwardInput { .. } => "dense_backward_input",
            Self::DenseBackwardWeight { .. } => "dense_backward_weight",
            Self::ActivationForward { .. } => "activation_forward",
            Self::ActivationBackward { .. } => "activation_backward",
            Self::SoftmaxForward { .. } => "softmax_forward",
            Self::SoftmaxBackward { .. } => "softmax_backward",
            Self::Loss { loss, .. } => match loss {
                Loss::CategoricalCrossentropy { .. } => "softmax_cross_entropy",
                Loss::BinaryCrossentropy { .. } => "sigmoid_cross_entropy",
                Loss::MeanSquaredError => "mean_squared_error",
            },
            Self::Dropout { .. } => "dropout",
            Self::Rescale { .. } => "rescale",
            Self::BatchNormStatistics { .. } => "batch_norm_statistics",
            Self::BatchNormForward { .. } => "batch_norm_forward",
            Self::BatchNormBackwardWeight { .. } => "batch_norm_backward_weight",
            Self::BatchNormBackwardInput { .. } => "batch_norm_backward_input",
            Self::Regularize { .. } => "regularize",
            Self::ClipGradients { clip, .. } => match clip {
                Clip::Value(_) => "clip_by_value",
                Clip::Norm(_) | Clip::GlobalNorm(_) => "clip_by_norm",
            },
            Self::Update { optimizer, .. } => match optimizer.rule {
                Rule::Sgd { .. } => "sgd_update",
                Rule::RmsProp { .. } => "rmsprop_update",
                Rule::Adam { .. } => "adam_update",
            },
        }
    }

    /// Every name that [`Op::name`] can give: a coverage test asks for a case of each.
    pub const NAMES: &'static [&'static str] = &[
        "gather",
        "conv2d_forward",
        "conv2d_backward_input",
        "conv2d_backward_weight",
        "pool2d_forward",
        "pool2d_backward",
        "dense_forward",
        "dense_backward_input",
        "dense_backward_weight",
        "activation_forward",
        "activation_backward",
        "softmax_forward",
        "softmax_backward",
        "softmax_cross_entropy",
        "sigmoid_cross_entropy",
        "mean_squared_error",
        "dropout",
        "rescale",
        "batch_norm_statistics",
        "batch_norm_forward",
        "batch_norm_backward_weight",
        "batch_norm_backward_input",
        "regularize",
        "clip_by_value",
        "clip_by_norm",
        "sgd_update",
        "rmsprop_update",
        "adam_update",
    ];

    /// The buffers that the operation reads.
    pub fn reads(&self) -> Vec<BufferId> {
        let y = |through: &Option<Through>| through.map(|t| t.y);
        match self {
            Self::Gather { .. } => vec![],
            Self::Conv2dForward { x, w, bias, .. } | Self::DenseForward { x, w, bias, .. } => {
                [*x, *w].into_iter().chain(*bias).collect()
            }
            Self::Conv2dBackwardInput { dy, w, through, .. }
            | Self::DenseBackwardInput { dy, w, through, .. } => {
                [*dy, *w].into_iter().chain(y(through)).collect()
            }
            Self::Conv2dBackwardWeight { x, dy, .. } | Self::DenseBackwardWeight { x, dy, .. } => {
                vec![*x, *dy]
            }
            Self::Pool2dForward { x, .. }
            | Self::ActivationForward { x, .. }
            | Self::SoftmaxForward { x, .. } => vec![*x],
            Self::Pool2dBackward {
                dy,
                argmax,
                through,
                ..
            } => [*dy].into_iter().chain(*argmax).chain(y(through)).collect(),
            Self::ActivationBackward { through, dy, .. } => vec![through.y, *dy],
            Self::SoftmaxBackward {
                dy, y: p, through, ..
            } => [*dy, *p].into_iter().chain(y(through)).collect(),
            Self::Loss { x, labels, .. } => vec![*x, *labels],
            Self::Dropout { x, through, .. } | Self::Rescale { x, through, .. } => {
                [*x].into_iter().chain(y(through)).collect()
            }
            Self::BatchNormStatistics { x, moving, .. } => vec![*x, moving[0], moving[1]],
            Self::BatchNormForward {
                x,
                mean,
                variance,
                gamma,
                beta,
                ..
            } => {
                let learnt = gamma.iter().chain(beta).copied();
                [*x, *mean, *variance].into_iter().chain(learnt).collect()
            }
            Self::BatchNormBackwardWeight {
                x,
                dy,
                mean,
                variance,
                ..
            } => vec![*x, *dy, *mean, *variance],
            Self::BatchNormBackwardInput {
                x,
                dy,
                mean,
                variance,
                gamma,
                dgamma,
                dbeta,
                ..
            } => {
                let all = [*x, *dy, *mean, *variance, *dgamma, *dbeta];
                all.into_iter().chain(*gamma).collect()
            }
            Self::Regularize { penalties } => {
                let weights = penalties.iter().map(|p| p.w);
                weights.chain(self.writes()).collect()
            }
            Self::ClipGradients { gradients, .. } => gradients.clone(),
            Self::Update {
                params, gradients, ..
            } => params.iter().chain(gradients).copied().collect(),
        }
    }

    /// The buffers that the operation writes.
    pub fn writes(&self) -> Vec<BufferId> {
        match self {
            Self::Gather { x, labels } => vec![*x, *labels],
            Self::Conv2dForward { y, .. }
            | Self::DenseForward { y, .. }
            | Self::ActivationForward { y, .. }
            | Self::SoftmaxForward { y, .. } => vec![*y],
            Self::Pool2dForward { y, argmax, .. } => [*y].into_iter().chain(*argmax).collect(),
            Self::Conv2dBackwardInput { dx, .. }
            | Self::Pool2dBackward { dx, .. }
            | Self::DenseBackwardInput { dx, .. }
            | Self::ActivationBackward { dx, .. }
            | Self::SoftmaxBackward { dx, .. } => vec![*dx],
            Self::Conv2dBackwardWeight { dw, dbias, .. }
            | Self::DenseBackwardWeight { dw, dbias, .. } => {
                [*dw].into_iter().chain(*dbias).collect()
            }
            Self::Loss {
                predictions, dx, ..
            } => [*predictions].into_iter().chain(*dx).collect(),
            Self::Dropout { y, .. }
            | Self::Rescale { y, .. }
            | Self::BatchNormForward { y, .. } => {
                vec![*y]
            }
            Self::BatchNormStatistics {
                mean,
                variance,
                moving,
                ..
            } => vec![*mean, *variance, moving[0], moving[1]],
            Self::BatchNormBackwardWeight { dgamma, dbeta, .. } => vec![*dgamma, *dbeta],
            Self::BatchNormBackwardInput { dx, .. } => vec![*dx],
            Self::Regularize { penalties } => penalties.iter().filter_map(|p| p.gradient).collect(),
            Self::ClipGradients {
                gradients, norms, ..
            } => gradients.iter().chain(norms).copied().collect(),
            Self::Update { params, .. } => params.clone(),
        }
    }
}
