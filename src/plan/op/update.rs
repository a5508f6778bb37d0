//! The optimizer's step.

use super::{Operation, Rounding};
use crate::optimizer::{Optimizer, UpdateRule};
use crate::plan::{BufferId, Plan};
use crate::words::counted;

/// One optimizer step over all parameters; see [`Optimizer`] for the formulas.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The rule and its constants.
    pub optimizer: Optimizer,
    /// The trainable parameters.
    pub params: Vec<BufferId>,
    /// The gradient of each.
    pub gradients: Vec<BufferId>,
    /// The factor of the rule's learning rate for each.
    pub factors: Vec<f32>,
}

impl Operation for Update {
    fn name(&self) -> &'static str {
        match self.optimizer.rule {
            UpdateRule::Sgd { .. } => "sgd_update",
            UpdateRule::RmsProp { .. } => "rmsprop_update",
            UpdateRule::Adam { .. } => "adam_update",
        }
    }

    fn reads(&self) -> Vec<BufferId> {
        self.params.iter().chain(&self.gradients).copied().collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        self.params.clone()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        self.params.iter().map(|&p| 10 * plan.elements(p)).sum()
    }

    /// Both moments, and the average if there is one, are read and written.
    fn extra_bytes(&self, plan: &Plan) -> u64 {
        let arrays = match self.optimizer.ema_momentum {
            Some(_) => 3,
            None => 2,
        };
        2 * arrays * plan.bytes_of(&self.params)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Quotient
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn changes_moments(&self) -> bool {
        true
    }

    fn reads_summary(&self) -> Option<String> {
        Some(counted(self.gradients.len(), "gradient"))
    }

    fn writes_summary(&self) -> Option<String> {
        Some(counted(self.params.len(), "parameter"))
    }
}
