//! Rescaling.

use super::{Operation, Rounding, Through};
use crate::plan::{BufferId, Plan};

/// `y = f'(through) * (scale * x + offset)`; the backward pass does the same to the gradient,
/// without the offset.
#[derive(Clone, Debug, PartialEq)]
pub struct Rescale {
    /// The factor.
    pub scale: f32,
    /// Added afterwards.
    pub offset: f32,
    /// The input, or the gradient by the output.
    pub x: BufferId,
    /// The output, or the gradient by the input.
    pub y: BufferId,
    /// In the backward pass, the activation that made the input.
    pub through: Option<Through>,
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
