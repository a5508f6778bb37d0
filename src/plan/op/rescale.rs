//! Rescaling.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// `y = f'(through) * (scale * x + offset)`; the backward pass does the same to the gradient,
/// without the offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescale {
    /// The factor.
    pub scale: f32,
    /// The offset, added after scaling.
    pub offset: f32,
    /// The input, or the gradient of the output.
    pub x: BufferId,
    /// The output, or the gradient of the input.
    pub y: BufferId,
    /// In the backward pass, the activation that produced the input.
    pub through: Option<Through>,
}

impl Builder {
    /// Adds `scale * x + offset`.
    pub fn rescale(&mut self, x: Value, scale: f32, offset: f32) -> Value {
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::Rescale(Rescale {
            scale,
            offset,
            x: x.buffer,
            y: y.buffer,
            through: None,
        }));
        self.record(x, y.buffer, false, move |b, x, dy, _| {
            let dx = b.gradient_of(x);
            b.push(Op::Rescale(Rescale {
                scale,
                offset: 0.0,
                x: dy,
                y: dx,
                through: x.through(),
            }));
            dx
        });
        y
    }
}

impl Operation for Rescale {
    fn name(&self) -> &'static str {
        "rescale"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.x].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        2 * plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::through(self.through)
    }
}
