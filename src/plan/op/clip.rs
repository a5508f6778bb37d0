//! Gradient clipping.

use super::{Operation, Rounding};
use crate::optimizer::Clip;
use crate::plan::{BufferId, Plan};
use crate::words::counted;

/// Scales or clamps gradients that are too large; see [`Clip`].
#[derive(Clone, Debug, PartialEq)]
pub struct ClipGradients {
    /// The rule and its bound.
    pub clip: Clip,
    /// The gradients.
    pub gradients: Vec<BufferId>,
    /// The norm of each gradient before clipping, if the rule uses norms; `[gradients]`.
    pub norms: Option<BufferId>,
}

impl Operation for ClipGradients {
    fn name(&self) -> &'static str {
        match self.clip {
            Clip::Value(_) => "clip_by_value",
            Clip::Norm(_) | Clip::GlobalNorm(_) => "clip_by_norm",
        }
    }

    fn reads(&self) -> Vec<BufferId> {
        self.gradients.clone()
    }

    fn writes(&self) -> Vec<BufferId> {
        self.gradients.iter().chain(&self.norms).copied().collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        let each = self.gradients.iter().map(|&g| 3 * plan.elements(g));
        each.sum()
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn reads_summary(&self) -> Option<String> {
        Some(counted(self.gradients.len(), "gradient"))
    }

    fn writes_summary(&self) -> Option<String> {
        Some(counted(self.gradients.len(), "gradient"))
    }
}
