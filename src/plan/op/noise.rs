//! Normal noise.

use super::draws::RowDraws;
use super::{Op, Operation, Rounding};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// `y[i] = x[i] + stddev * key.normal_of(i, number)` for element `i` of the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct AddNoise {
    /// The standard deviation.
    pub stddev: f64,
    /// The series from which each element of the batch has a draw.
    pub draws: RowDraws,
    /// The input.
    pub x: BufferId,
    /// The output, with the same shape.
    pub y: BufferId,
}

impl Builder {
    /// Adds normal noise; returns `x` unchanged in inference.
    pub fn add_noise(&mut self, x: Value, stddev: f64) -> Value {
        if self.optimizer.is_none() || stddev == 0.0 {
            return x;
        }
        let draws = self.row_draws();
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::AddNoise(AddNoise {
            stddev,
            draws,
            x: x.buffer,
            y: y.buffer,
        }));
        self.record(x, y.buffer, false, |b, x, dy, _| {
            b.activation_backward(dy, x)
        });
        y
    }
}

impl Operation for AddNoise {
    fn name(&self) -> &'static str {
        "add_noise"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        2 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }
}
