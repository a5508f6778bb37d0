//! Pointwise activations as separate operations, not fused into another one.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// `y = f(x)` for a pointwise activation.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationForward {
    /// The function `f`.
    pub activation: Activation,
    /// The input, of any shape.
    pub x: BufferId,
    /// The output, of the same shape.
    pub y: BufferId,
}

/// `dx = f'(y) * dy`.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationBackward {
    /// The function `f`, and the buffer from which its derivative is computed.
    pub through: Through,
    /// The gradient of the output.
    pub dy: BufferId,
    /// The gradient of the input.
    pub dx: BufferId,
}

impl Builder {
    /// Adds `f(x)`.
    pub fn activation(&mut self, x: Value, activation: Activation) -> Value {
        match activation {
            Activation::Linear => x,
            Activation::Softmax => self.softmax(x),
            _ => {
                let name = self.layer.clone();
                self.pointwise(name, x, activation)
            }
        }
    }

    fn pointwise(&mut self, name: String, x: Value, activation: Activation) -> Value {
        let mut y = self.value_named(name, x.shape.clone(), activation);
        if activation.keeps_input() {
            y.kept = x.buffer;
        }
        self.push(Op::ActivationForward(ActivationForward {
            activation,
            x: x.buffer,
            y: y.buffer,
        }));
        self.record(x, y.buffer, false, |b, x, dy, _| {
            b.activation_backward(dy, x)
        });
        y
    }

    /// The part of `activation` that can be fused into the operation before it: linear for a
    /// softmax, which needs a whole row, and in training if [`Activation::keeps_input`].
    pub(in crate::plan) fn fused(&self, activation: Activation) -> Activation {
        let training = self.optimizer.is_some();
        match activation {
            Activation::Softmax => Activation::Linear,
            other if training && other.keeps_input() => Activation::Linear,
            other => other,
        }
    }

    /// Adds the activation unless it has been `fused`.
    pub(in crate::plan) fn unfused(
        &mut self,
        y: Value,
        activation: Activation,
        fused: Activation,
    ) -> Value {
        match activation {
            _ if activation == fused => y,
            Activation::Softmax => self.softmax(y),
            _ => {
                let name = format!("{} {}", self.layer, activation.name());
                self.pointwise(name, y, activation)
            }
        }
    }

    /// Multiplies `dy`, the gradient of `x`, by the derivative of the activation that produced `x`;
    /// that of the activation after `x` is already included.
    pub(in crate::plan) fn activation_backward(&mut self, dy: BufferId, x: &Value) -> BufferId {
        let Some(through) = x.through() else {
            return dy;
        };
        let dx = self.gradient_of(x);
        self.push(Op::ActivationBackward(ActivationBackward {
            through,
            dy,
            dx,
        }));
        dx
    }
}

impl Operation for ActivationForward {
    fn name(&self) -> &'static str {
        "activation_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }
}

impl Operation for ActivationBackward {
    fn name(&self) -> &'static str {
        "activation_backward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.through.y, self.dy]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        2 * plan.elements(self.dx)
    }

    fn rounding(&self) -> Rounding {
        Rounding::through(Some(self.through))
    }
}
