//! Penalties on parameters.

use super::{Operation, Rounding};
use crate::model::Regularizer;
use crate::plan::{BufferId, Plan};

/// Adds each penalty to the step's loss as `rows * (l1 * Σ |w| + l2 * Σ w²)`, so that the mean over
/// the rows grows by the penalty itself. In training, adds `l1 * sign(w) + 2 * l2 * w` to the
/// gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Regularize {
    /// One entry per penalized parameter.
    pub penalties: Vec<Penalty>,
}

/// The penalty on one parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Penalty {
    /// The parameter.
    pub w: BufferId,
    /// Its gradient, in training.
    pub gradient: Option<BufferId>,
    /// The factors `l1` and `l2`.
    pub regularizer: Regularizer,
}

impl Operation for Regularize {
    fn name(&self) -> &'static str {
        "regularize"
    }

    fn reads(&self) -> Vec<BufferId> {
        let weights = self.penalties.iter().map(|p| p.w);
        weights.chain(self.writes()).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        self.penalties.iter().filter_map(|p| p.gradient).collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        self.penalties.iter().map(|p| 6 * plan.elements(p.w)).sum()
    }

    fn rounding(&self) -> Rounding {
        Rounding::Sum
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn adds_to_metrics(&self) -> bool {
        true
    }
}
