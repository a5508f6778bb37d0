//! Softmax over the last axis.

use super::{Operation, Rounding, Through};
use crate::plan::{BufferId, Plan};

/// `y[r, i] = exp(x[r, i]) / Σ_j exp(x[r, j])` over rows of `width` cells.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxForward {
    /// Cells of a row.
    pub width: usize,
    /// The input, `[.., width]`.
    pub x: BufferId,
    /// The probabilities, `[.., width]`.
    pub y: BufferId,
}

/// `dx[r, i] = f'(x) * y[r, i] * (dy[r, i] - Σ_j dy[r, j] * y[r, j])`.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxBackward {
    /// Cells of a row.
    pub width: usize,
    /// The gradient by the probabilities, `[.., width]`.
    pub dy: BufferId,
    /// The probabilities, `[.., width]`.
    pub y: BufferId,
    /// The gradient by the input, `[.., width]`.
    pub dx: BufferId,
    /// The activation that made the input.
    pub through: Option<Through>,
}

impl Operation for SoftmaxForward {
    fn name(&self) -> &'static str {
        "softmax_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        4 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }
}

impl Operation for SoftmaxBackward {
    fn name(&self) -> &'static str {
        "softmax_backward"
    }

    fn reads(&self) -> Vec<BufferId> {
        let through = self.through.map(|t| t.y);
        [self.dy, self.y].into_iter().chain(through).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        4 * plan.elements(self.dx)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }
}
