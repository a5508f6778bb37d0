//! The passes of convolutions and dense layers, and the operations fused with them.

use super::super::tiled::{Correlation, Pool, Unpool, WeightGradient};
use crate::model::Activation;
use crate::plan::{
    BufferId, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape,
    DenseBackwardInput, DenseBackwardWeight, DenseForward, Plan, Through,
};
use crate::shape::Window;

/// A max pool that runs in the call of the convolution before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FusedPool {
    /// The convolution's output, which is not written.
    pub(super) between: BufferId,
    /// The pool's output.
    pub(super) y: BufferId,
    /// The indices of the cells that it took.
    pub(super) argmax: Option<BufferId>,
    /// Height and width of its windows.
    pub(super) size: (usize, usize),
    /// Rows and columns covered by windows; the gradient of `between` is zero elsewhere.
    pub(super) nonzero: (usize, usize),
    /// The gradients of `y` and of `between`, in training.
    pub(super) gradients: Option<(BufferId, BufferId)>,
    /// Whether the pool's backward pass runs in the calls of the convolution's backward pass.
    pub(super) absorbed: bool,
    /// The activation whose derivative its backward pass includes.
    pub(super) through: Option<Activation>,
}

impl FusedPool {
    /// Number of rows and columns of windows.
    pub(super) fn windows(&self) -> (usize, usize) {
        (self.nonzero.0 / self.size.0, self.nonzero.1 / self.size.1)
    }
}

/// The forward pass of a convolution or a dense layer.
pub(super) struct Forward {
    /// The kernel's name.
    pub(super) entry: &'static str,
    pub(super) batch: usize,
    pub(super) shape: ConvShape,
    pub(super) x: BufferId,
    pub(super) w: BufferId,
    pub(super) bias: Option<BufferId>,
    pub(super) y: BufferId,
    pub(super) activation: Activation,
    /// The pool that reads `y`.
    pub(super) pool: Option<FusedPool>,
}

impl Forward {
    /// The forward pass of a convolution with the pool fused into it.
    pub(super) fn conv2d(plan: &Plan, op: &Conv2dForward, pool: Option<&FusedPool>) -> Self {
        Self {
            entry: "conv2d_forward",
            batch: plan.batch,
            shape: op.shape,
            x: op.x,
            w: op.w,
            bias: op.bias,
            y: op.y,
            activation: op.activation,
            pool: pool.copied(),
        }
    }

    /// The forward pass of a dense layer.
    pub(super) fn dense(plan: &Plan, op: &DenseForward) -> Self {
        Self {
            entry: "dense_forward",
            batch: 1,
            shape: dense(plan.batch, op.inputs, op.outputs),
            x: op.x,
            w: op.w,
            bias: op.bias,
            y: op.y,
            activation: op.activation,
            pool: None,
        }
    }
}

/// An input gradient.
pub(super) struct BackwardInput {
    /// The kernel's name.
    pub(super) entry: &'static str,
    pub(super) batch: usize,
    pub(super) shape: ConvShape,
    pub(super) dy: BufferId,
    pub(super) w: BufferId,
    pub(super) dx: BufferId,
    pub(super) through: Option<Through>,
    /// The pool whose backward pass computes `dy`.
    pub(super) pool: Option<FusedPool>,
}

impl BackwardInput {
    /// The input gradient of a convolution with the pool fused into it.
    pub(super) fn conv2d(plan: &Plan, op: &Conv2dBackwardInput, pool: Option<&FusedPool>) -> Self {
        Self {
            entry: "conv2d_backward_input",
            batch: plan.batch,
            shape: op.shape,
            dy: op.dy,
            w: op.w,
            dx: op.dx,
            through: op.through,
            pool: pool.copied(),
        }
    }

    /// The input gradient of a dense layer.
    pub(super) fn dense(plan: &Plan, op: &DenseBackwardInput) -> Self {
        Self {
            entry: "dense_backward_input",
            batch: 1,
            shape: dense(plan.batch, op.inputs, op.outputs),
            dy: op.dy,
            w: op.w,
            dx: op.dx,
            through: op.through,
            pool: None,
        }
    }

    /// The pool, if its backward pass runs in this call.
    pub(super) fn absorbed(&self) -> Option<FusedPool> {
        self.pool.filter(|pool| pool.absorbed)
    }
}

/// The gradients of a kernel and a bias.
pub(super) struct BackwardWeight {
    pub(super) batch: usize,
    pub(super) shape: ConvShape,
    pub(super) x: BufferId,
    pub(super) dy: BufferId,
    pub(super) dw: BufferId,
    pub(super) dbias: Option<BufferId>,
    /// The pool whose backward pass computes `dy`.
    pub(super) pool: Option<FusedPool>,
    /// The offset of the first partial gradient, in floats.
    pub(super) first_partial: usize,
}

impl BackwardWeight {
    /// The gradients of a convolution's kernel and bias, with the pool fused into it.
    pub(super) fn conv2d(
        plan: &Plan,
        op: &Conv2dBackwardWeight,
        pool: Option<&FusedPool>,
        first_partial: usize,
    ) -> Self {
        Self {
            batch: plan.batch,
            shape: op.shape,
            x: op.x,
            dy: op.dy,
            dw: op.dw,
            dbias: op.dbias,
            pool: pool.copied(),
            first_partial,
        }
    }

    /// The gradients of a dense layer's kernel and bias.
    pub(super) fn dense(plan: &Plan, op: &DenseBackwardWeight, first_partial: usize) -> Self {
        Self {
            batch: 1,
            shape: dense(plan.batch, op.inputs, op.outputs),
            x: op.x,
            dy: op.dy,
            dw: op.dw,
            dbias: op.dbias,
            pool: None,
            first_partial,
        }
    }

    /// The pool, if its backward pass runs in this call.
    pub(super) fn absorbed(&self) -> Option<FusedPool> {
        self.pool.filter(|pool| pool.absorbed)
    }
}

/// A dense layer is a 1x1 convolution over one column of `batch` pixels.
fn dense(batch: usize, inputs: usize, outputs: usize) -> ConvShape {
    ConvShape {
        window: Window {
            ih: batch,
            iw: 1,
            kh: 1,
            kw: 1,
            sh: 1,
            sw: 1,
            dh: 1,
            dw: 1,
            pad_top: 0,
            pad_left: 0,
            oh: batch,
            ow: 1,
        },
        ic: inputs,
        oc: outputs,
        groups: 1,
    }
}

/// The correlation of a forward pass, with the size of the max pool after it and whether that
/// stores the indices of the cells it takes.
pub(super) fn forward(
    batch: usize,
    shape: &ConvShape,
    pool: Option<((usize, usize), bool)>,
) -> Correlation {
    let mut window = shape.window;
    if let Some(((kh, kw), _)) = pool {
        // Outputs that no window of the pool covers are not computed.
        window.oh = window.oh / kh * kh;
        window.ow = window.ow / kw * kw;
    }
    Correlation {
        batch,
        window,
        rc: shape.ic,
        kc: shape.oc,
        flipped: false,
        nonzero: (window.ih, window.iw),
        pool: pool.map(|(size, argmax)| Pool { size, argmax }),
        unpool: None,
    }
}

/// The correlation that computes the input gradient of a convolution. `None` with strides, where
/// most taps meet no output, with padding wider than the kernel, and with groups or dilation.
pub(super) fn backward_input(
    batch: usize,
    shape: &ConvShape,
    nonzero: (usize, usize),
    unpool: Option<Unpool>,
) -> Option<Correlation> {
    let window = shape.window;
    if (window.sh, window.sw) != (1, 1) || !shape.is_plain() {
        return None;
    }
    Some(Correlation {
        batch,
        window: Window {
            ih: window.oh,
            iw: window.ow,
            oh: window.ih,
            ow: window.iw,
            pad_top: (window.kh - 1).checked_sub(window.pad_top)?,
            pad_left: (window.kw - 1).checked_sub(window.pad_left)?,
            ..window
        },
        rc: shape.oc,
        kc: shape.ic,
        flipped: true,
        nonzero,
        pool: None,
        unpool,
    })
}

/// The gradients of a convolution's kernel and bias, with or without a fused pool.
pub(super) fn backward_weight(
    batch: usize,
    shape: &ConvShape,
    bias: bool,
    pool: Option<&FusedPool>,
) -> WeightGradient {
    let mut gradient = WeightGradient {
        batch,
        window: shape.window,
        ic: shape.ic,
        oc: shape.oc,
        bias,
        dy: (shape.window.oh, shape.window.ow),
        pool: None,
    };
    if let Some(pool) = pool {
        (gradient.window.oh, gradient.window.ow) = pool.nonzero;
        if pool.absorbed {
            gradient.dy = pool.windows();
            gradient.pool = Some(pool.size);
        }
    }
    gradient
}
