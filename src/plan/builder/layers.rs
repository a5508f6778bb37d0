//! Convolutions, pools and dense layers, forward and backward.

use super::{Builder, Tape, Value};
use crate::model::{Activation, PoolKind};
use crate::plan::{
    BufferId, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape,
    DenseBackwardInput, DenseBackwardWeight, DenseForward, Element, Op, Pool2dBackward,
    Pool2dForward, PoolShape, Role,
};
use crate::shape::Window;

impl Builder {
    /// `f(x ⋆ w + bias)`.
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
        self.note(Tape::Conv2d { shape, x, w, bias });
        self.unfused(y, activation, fused)
    }

    pub(super) fn conv2d_backward(
        &mut self,
        dy: BufferId,
        (shape, x, w, bias): (ConvShape, Value, BufferId, Option<BufferId>),
        wants_dx: bool,
    ) -> BufferId {
        let dw = self.gradient(w);
        let dbias = bias.map(|b| self.gradient(b));
        self.push(Op::Conv2dBackwardWeight(Conv2dBackwardWeight {
            shape,
            x: x.buffer,
            dy,
            dw,
            dbias,
        }));
        if !wants_dx {
            return dy;
        }
        let dx = self.gradient_of(&x);
        self.push(Op::Conv2dBackwardInput(Conv2dBackwardInput {
            shape,
            dy,
            w,
            dx,
            through: x.through(),
        }));
        dx
    }

    // Pooling, forward and backward.

    /// Max, average or sum pooling.
    pub fn pool2d(&mut self, x: Value, window: Window, kind: PoolKind) -> Value {
        let c = x.shape.last().copied().unwrap_or(0);
        let shape = PoolShape { window, c, kind };
        let y = self.value(vec![window.oh, window.ow, c], Activation::Linear);
        let training = self.optimizer.is_some();
        let argmax = (kind == PoolKind::Max && training).then(|| {
            let shape = self.plan.buffer(y.buffer).shape.clone();
            let name = format!("{} argmax", self.layer);
            self.buffer(name, shape, Element::U32, Role::Intermediate)
        });
        self.push(Op::Pool2dForward(Pool2dForward {
            shape,
            x: x.buffer,
            y: y.buffer,
            argmax,
        }));
        self.note(Tape::Pool2d { shape, x, argmax });
        y
    }

    pub(super) fn pool2d_backward(
        &mut self,
        dy: BufferId,
        (shape, x, argmax): (PoolShape, Value, Option<BufferId>),
    ) -> BufferId {
        let dx = self.gradient_of(&x);
        self.push(Op::Pool2dBackward(Pool2dBackward {
            shape,
            dy,
            argmax,
            dx,
            through: x.through(),
        }));
        dx
    }

    // Dense layers, forward and backward.

    /// `f(x w + bias)`.
    pub fn dense(
        &mut self,
        x: Value,
        w: BufferId,
        bias: Option<BufferId>,
        units: usize,
        activation: Activation,
    ) -> Value {
        let fused = self.fused(activation);
        let y = self.value(vec![units], fused);
        self.push(Op::DenseForward(DenseForward {
            inputs: x.shape.iter().product(),
            outputs: units,
            x: x.buffer,
            w,
            bias,
            y: y.buffer,
            activation: fused,
        }));
        self.note(Tape::Dense {
            x,
            w,
            bias,
            outputs: units,
        });
        self.unfused(y, activation, fused)
    }

    pub(super) fn dense_backward(
        &mut self,
        dy: BufferId,
        (x, w, bias, outputs): (Value, BufferId, Option<BufferId>, usize),
        wants_dx: bool,
    ) -> BufferId {
        let inputs = x.shape.iter().product();
        let dw = self.gradient(w);
        let dbias = bias.map(|b| self.gradient(b));
        self.push(Op::DenseBackwardWeight(DenseBackwardWeight {
            inputs,
            outputs,
            x: x.buffer,
            dy,
            dw,
            dbias,
        }));
        if !wants_dx {
            return dy;
        }
        let dx = self.gradient_of(&x);
        self.push(Op::DenseBackwardInput(DenseBackwardInput {
            inputs,
            outputs,
            dy,
            w,
            dx,
            through: x.through(),
        }));
        dx
    }
}
