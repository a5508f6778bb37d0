//! Softmax over the last axis.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

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
    /// The gradient of the probabilities, `[.., width]`.
    pub dy: BufferId,
    /// The probabilities, `[.., width]`.
    pub y: BufferId,
    /// The gradient of the input, `[.., width]`.
    pub dx: BufferId,
    /// The activation that produced the input.
    pub through: Option<Through>,
}

impl Builder {
    pub(in crate::plan) fn softmax(&mut self, x: Value) -> Value {
        let width = x.shape.last().copied().unwrap_or(0);
        let name = format!("{} softmax", self.layer);
        let value = self.value_named(name, x.shape.clone(), Activation::Linear);
        let y = value.buffer;
        self.push(Op::SoftmaxForward(SoftmaxForward {
            width,
            x: x.buffer,
            y,
        }));
        self.record(x, y, false, move |b, x, dy, _| {
            let dx = b.gradient_of(x);
            b.push(Op::SoftmaxBackward(SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through: x.through(),
            }));
            dx
        });
        value
    }
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
