//! The other ranks, as a trainer sees them.

use crate::distributed::{Communicator, Exchange, TreeNode};
use crate::error::Result;
use crate::exec::StepMetrics;

/// This rank among the others.
pub(super) struct RankGroup {
    pub(super) communicator: Box<dyn Communicator>,
    /// Whether all ranks have agreed to stop.
    pub(super) stops: bool,
    /// Updates whose metrics have not been fetched.
    pub(super) updates: usize,
    /// Training steps and evaluations shared so far, the same number on all ranks.
    pub(super) exchanges: u64,
}

impl RankGroup {
    /// This rank's number, and how many there are.
    pub(super) fn place(&self) -> (usize, usize) {
        (self.communicator.rank(), self.communicator.size())
    }

    /// The metrics of all ranks in the order of the batches, of which this rank has evaluated its own; `None` if some
    /// rank has stopped.
    pub(super) fn merge(
        &mut self,
        own: Vec<StepMetrics>,
        stopped: bool,
    ) -> Result<Option<Vec<StepMetrics>>> {
        self.exchanges += 1;
        let about = (Exchange::Evaluation, self.exchanges);
        let own = TreeNode {
            interrupted: stopped,
            metrics: own,
            ..TreeNode::new(about)
        };
        let all = self.communicator.gather(own.to_bytes())?;
        let all = all.iter().map(|node| TreeNode::from_bytes(node, about));
        let all = all.collect::<Result<Vec<_>>>()?;
        // Batch i is the next one of rank i mod size.
        let most = all.iter().map(|node| node.metrics.len()).max();
        let rounds = 0..most.unwrap_or_default();
        let in_order =
            rounds.flat_map(|round| all.iter().filter_map(move |node| node.metrics.get(round)));
        let merged = TreeNode {
            interrupted: all.iter().any(|node| node.interrupted),
            metrics: in_order.copied().collect(),
            ..TreeNode::new(about)
        };
        let merged = self.communicator.broadcast(merged.to_bytes())?;
        let merged = TreeNode::from_bytes(&merged, about)?;
        Ok((!merged.interrupted).then_some(merged.metrics))
    }
}
