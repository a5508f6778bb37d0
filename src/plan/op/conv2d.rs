//! Convolutions.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};
use crate::shape::Window;

/// The sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// The cells that the kernel reads.
    pub window: Window,
    /// Input channels.
    pub ic: usize,
    /// Output channels.
    pub oc: usize,
    /// Groups of channels: the outputs of a group read only its own inputs, so the kernel has
    /// `ic / groups` input channels.
    pub groups: usize,
}

impl ConvShape {
    /// The sizes of a convolution with one group.
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

    /// Whether it has one group and a window without gaps.
    pub fn is_plain(&self) -> bool {
        self.groups == 1 && (self.window.dh, self.window.dw) == (1, 1)
    }

    /// Floating-point operations per element of the output: one multiply-add per kernel cell and
    /// input channel, counted as two.
    fn flops_per_output(&self) -> u64 {
        2 * (self.window.taps() * self.group()[0]) as u64
    }
}

/// `y = f(x ⋆ w + bias)`; see [`ConvShape`] for groups. The cells of a window are `dh` rows and
/// `dw` columns apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dForward {
    /// The sizes.
    pub shape: ConvShape,
    /// The input, `[n, ih, iw, ic]`.
    pub x: BufferId,
    /// The kernel, `[kh, kw, ic / groups, oc]`.
    pub w: BufferId,
    /// Added to each output channel, `[oc]`.
    pub bias: Option<BufferId>,
    /// The output, `[n, oh, ow, oc]`.
    pub y: BufferId,
    /// The pointwise activation `f`.
    pub activation: Activation,
}

/// `dx[n, iy, ix, ic] = f'(x) * Σ_{ky, kx, oc} dy[n, oy, ox, oc] * w[ky, kx, ic, oc]` over all
/// output cells whose window has `(iy, ix)` at `(ky, kx)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dBackwardInput {
    /// The sizes.
    pub shape: ConvShape,
    /// The gradient of the pre-activation output, `[n, oh, ow, oc]`.
    pub dy: BufferId,
    /// The kernel, `[kh, kw, ic / groups, oc]`.
    pub w: BufferId,
    /// The gradient of the input, `[n, ih, iw, ic]`.
    pub dx: BufferId,
    /// The activation that produced the input.
    pub through: Option<Through>,
}

/// `dw[ky, kx, ic, oc] = Σ_{n, oy, ox} x[n, iy, ix, ic] * dy[n, oy, ox, oc]` with
/// `iy = oy*sh + ky*dh - pad_top` and `ix = ox*sw + kx*dw - pad_left`;
/// `dbias[oc] = Σ_{n, oy, ox} dy[n, oy, ox, oc]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2dBackwardWeight {
    /// The sizes.
    pub shape: ConvShape,
    /// The input, `[n, ih, iw, ic]`.
    pub x: BufferId,
    /// The gradient of the pre-activation output, `[n, oh, ow, oc]`.
    pub dy: BufferId,
    /// The gradient of the kernel, `[kh, kw, ic / groups, oc]`.
    pub dw: BufferId,
    /// The gradient of the bias, `[oc]`.
    pub dbias: Option<BufferId>,
}

impl Builder {
    /// Adds `f(x ⋆ w + bias)`.
    pub fn conv2d(
        &mut self,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        shape: ConvShape,
        activation: Activation,
    ) -> Value {
        let fused = self.fused(activation);
        let window = &shape.window;
        let y = self.value(vec![window.oh, window.ow, shape.oc], fused);
        self.push(Op::Conv2dForward(Conv2dForward {
            shape,
            x: x.buffer,
            w,
            bias,
            y: y.buffer,
            activation: fused,
        }));
        let trains = self.trains;
        self.record(x, y.buffer, trains, move |b, x, dy, wants_dx| {
            if trains {
                let dw = b.gradient(w);
                let dbias = bias.map(|bias| b.gradient(bias));
                b.push(Op::Conv2dBackwardWeight(Conv2dBackwardWeight {
                    shape,
                    x: x.buffer,
                    dy,
                    dw,
                    dbias,
                }));
            }
            if !wants_dx {
                return dy;
            }
            let dx = b.gradient_of(x);
            b.push(Op::Conv2dBackwardInput(Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through: x.through(),
            }));
            dx
        });
        self.unfused(y, activation, fused)
    }
}

impl Operation for Conv2dForward {
    fn name(&self) -> &'static str {
        "conv2d_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        [self.x, self.w].into_iter().chain(self.bias).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        self.shape.flops_per_output() * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::of_sum_with(self.activation)
    }
}

impl Operation for Conv2dBackwardInput {
    fn name(&self) -> &'static str {
        "conv2d_backward_input"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.dy, self.w].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        self.shape.flops_per_output() * plan.elements(self.dy)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}

impl Operation for Conv2dBackwardWeight {
    fn name(&self) -> &'static str {
        "conv2d_backward_weight"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.dy]
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.dw].into_iter().chain(self.dbias).collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        self.shape.flops_per_output() * plan.elements(self.dy)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}
