//! Pointwise activations that are not fused into another operation.

use super::{Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Plan};

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
    /// The function `f`, and what its derivative is a function of.
    pub through: Through,
    /// The gradient by the output.
    pub dy: BufferId,
    /// The gradient by the input.
    pub dx: BufferId,
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
