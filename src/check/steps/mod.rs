//! Whole steps of small networks, with the kernels that training and inference run.
//!
//! In a step, operations are fused with their neighbours, and the optimizer sums partial gradients.
//! Cases of single operations run none of these kernels. The steps of the networks in [`all`] run
//! every one of them: a test of the GPU path compares the networks with the kernels that it can
//! produce.

mod networks;
mod run;
#[cfg(test)]
mod tests;

pub use networks::all;
pub use run::check_step;

use super::case::has_words;
use crate::model::Sequential;
use crate::plan::Purpose;

/// A small network and what its steps are for.
#[derive(Clone, Debug)]
pub struct StepCase {
    /// `training_step` or `inference_step`, and the network's name.
    pub name: String,
    /// The name and the sizes, as in [`Case::vars`](super::Case::vars).
    pub vars: String,
    /// The network.
    pub model: Sequential,
    /// Training or inference.
    pub purpose: Purpose,
    /// Rows in a batch.
    pub batch: usize,
}

impl StepCase {
    fn new(network: &str, model: Sequential, purpose: Purpose, batch: usize) -> Self {
        let (kind, optimizer) = match purpose {
            Purpose::Training(optimizer)
            | Purpose::MixedTraining(optimizer, _)
            | Purpose::Gradients(optimizer) => ("training_step", optimizer.name()),
            Purpose::Inference => ("inference_step", "none"),
            Purpose::Outputs => ("outputs_step", "none"),
        };
        Self {
            name: format!("{kind} {network}"),
            vars: format!("{kind} {network} optimizer={optimizer} n={batch}"),
            model,
            purpose,
            batch,
        }
    }

    /// Whether every word of `filter` is one of [`StepCase::vars`] or a prefix of the kind of step.
    pub fn matches(&self, filter: &str) -> bool {
        let kind = self.name.split(' ').next().unwrap_or_default();
        has_words(&self.vars, kind, filter)
    }
}
