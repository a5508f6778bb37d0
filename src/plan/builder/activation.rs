//! Activations, forward and backward.

use super::{Builder, Tape, Value};
use crate::model::Activation;
use crate::plan::{
    ActivationBackward, ActivationForward, BufferId, Op, SoftmaxBackward, SoftmaxForward,
};

impl Builder {
    /// `f(x)`.
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
        self.note(Tape::Activation { x });
        y
    }

    /// What of an activation can be applied where its argument is made: not a softmax, which needs
    /// a whole row, and in training none that [`Activation::keeps_input`].
    pub(super) fn fused(&self, activation: Activation) -> Activation {
        let training = self.optimizer.is_some();
        match activation {
            Activation::Softmax => Activation::Linear,
            other if training && other.keeps_input() => Activation::Linear,
            other => other,
        }
    }

    /// Applies the activation unless it was `fused`.
    pub(super) fn unfused(&mut self, y: Value, activation: Activation, fused: Activation) -> Value {
        match activation {
            _ if activation == fused => y,
            Activation::Softmax => self.softmax(y),
            _ => {
                let name = format!("{} {}", self.layer, activation.name());
                self.pointwise(name, y, activation)
            }
        }
    }

    /// `dy` is already by the pre-activation, that is by `x`: only the activation that made `x`
    /// is left to pass.
    pub(super) fn activation_backward(&mut self, dy: BufferId, x: &Value) -> BufferId {
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

    fn softmax(&mut self, x: Value) -> Value {
        let width = x.shape.last().copied().unwrap_or(0);
        let y = self.value_named(
            format!("{} softmax", self.layer),
            x.shape.clone(),
            Activation::Linear,
        );
        self.push(Op::SoftmaxForward(SoftmaxForward {
            width,
            x: x.buffer,
            y: y.buffer,
        }));
        self.note(Tape::Softmax {
            x,
            y: y.buffer,
            width,
        });
        y
    }

    pub(super) fn softmax_backward(
        &mut self,
        dy: BufferId,
        (x, y, width): (Value, BufferId, usize),
    ) -> BufferId {
        let dx = self.gradient_of(&x);
        self.push(Op::SoftmaxBackward(SoftmaxBackward {
            width,
            dy,
            y,
            dx,
            through: x.through(),
        }));
        dx
    }
}
