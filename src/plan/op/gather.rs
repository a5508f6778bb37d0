//! Copies a batch from the data set.

use super::{Operation, Rounding};
use crate::plan::{BufferId, Plan};

/// `x[r, ..] = image[order[offset + r], ..] / 255`, without the division if the data set holds floats,
/// and `labels[r] = label[order[offset + r]]` for the valid rows `r`; zeros in the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather {
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The labels, `[n]`.
    pub labels: BufferId,
}

impl Operation for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.x, self.labels]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.x)
    }

    /// The images, one byte per element.
    fn extra_bytes(&self, plan: &Plan) -> u64 {
        plan.elements(self.x)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }

    fn reads_summary(&self) -> Option<String> {
        Some("data set".into())
    }
}
