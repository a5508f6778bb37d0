//! Training on several ranks: what a trainer exchanges with those of the others.

use super::rank_group::RankGroup;
use super::trainer::Pass;
use super::training_batch::TrainingBatch;
use super::{Mean, Trainer};
use crate::distributed::{Communicator, Exchange, Traffic, TreeAct, TreeNode, acts, owned};
use crate::error::{Error, Result};
use crate::exec::{Executor, GradientSum, Step, StepMetrics};

impl<E: Executor + ?Sized> Trainer<E> {
    /// Makes this trainer one of several that train together, each in its process or thread; see
    /// [`distributed`](crate::distributed). All of them have the same model, options, state and data, and make the
    /// same calls; they share the work of [`Trainer::fit`] and [`Trainer::evaluate`]. An interrupt of one of them
    /// stops all after the same step. Callbacks decide alike everywhere, as all ranks have the same metrics;
    /// those that write files are needed on one rank only.
    ///
    /// # Errors
    /// [`Options::micro_batch`](super::Options#structfield.micro_batch) is not set.
    pub fn set_communicator(&mut self, communicator: Box<dyn Communicator>) -> Result<()> {
        if self.rows_of_parts().is_none() {
            return Err(Error::Argument(
                "ranks share the micro-batches of a batch: expected the option micro_batch, received none".into(),
            ));
        }
        self.ranks = (communicator.size() > 1).then_some(RankGroup {
            communicator,
            stops: false,
            updates: 0,
            exchanges: 0,
        });
        Ok(())
    }

    /// What this rank has exchanged with others; nothing if there are none.
    pub fn traffic(&self) -> Traffic {
        let ranks = self.ranks.as_ref();
        ranks.map_or(Traffic::default(), |ranks| ranks.communicator.traffic())
    }

    /// Whether training must stop after the steps so far, on all ranks alike.
    pub(super) fn is_interrupted(&self) -> bool {
        match &self.ranks {
            Some(ranks) => ranks.stops,
            None => self.interrupt.is_raised(),
        }
    }

    /// Takes this rank's part of a step on a batch of micro-batches of `each` rows. Returns whether there are
    /// several ranks, and otherwise does nothing.
    pub(super) fn share_batch(&mut self, batch: &TrainingBatch, each: usize) -> Result<bool> {
        let Some(mut ranks) = self.ranks.take() else {
            return Ok(false);
        };
        let shared = self.share_with(&mut ranks, batch, each);
        self.ranks = Some(ranks);
        shared.map(|()| true)
    }

    fn share_with(
        &mut self,
        ranks: &mut RankGroup,
        batch: &TrainingBatch,
        each: usize,
    ) -> Result<()> {
        let program = self.program(Pass::Training)?;
        let update = self.program(Pass::Update)?;
        let count = batch.rows.div_ceil(each);
        let (rank, size) = ranks.place();
        ranks.exchanges += 1;
        let about = (Exchange::Training, ranks.exchanges);
        let mut node = TreeNode {
            interrupted: self.interrupt.is_raised(),
            ..TreeNode::new(about)
        };
        let is_idle = |rank: &usize| owned(count, (*rank, size)).is_empty();
        if is_idle(&rank) {
            // Its interrupt counts all the same.
            ranks.communicator.send(0, node.to_bytes())?;
        }
        for act in acts(count, ranks.place()) {
            match act {
                TreeAct::Run { micro_batch, sum } => {
                    ranks.communicator.progress();
                    self.executor.enqueue(&Step {
                        sum,
                        ..batch.part(program, micro_batch, each)
                    })?;
                }
                TreeAct::Receive { from, sum } => {
                    self.executor.start()?;
                    let received = TreeNode::from_bytes(&ranks.communicator.receive(from)?, about)?;
                    self.fetch(ranks, &mut node.metrics)?;
                    node.interrupted |= received.interrupted;
                    node.metrics.extend(received.metrics);
                    self.executor.set_gradients(&received.gradients, sum)?;
                }
                TreeAct::Send { to } => {
                    self.fetch(ranks, &mut node.metrics)?;
                    node.gradients = self.executor.gradients()?;
                    ranks.communicator.send(to, node.to_bytes())?;
                    node = TreeNode::new(about);
                }
            }
        }
        let root = if rank == 0 {
            for idle in (0..size).filter(is_idle) {
                let flag = ranks.communicator.receive(idle)?;
                node.interrupted |= TreeNode::from_bytes(&flag, about)?.interrupted;
            }
            self.fetch(ranks, &mut node.metrics)?;
            node.gradients = self.executor.gradients()?;
            ranks.communicator.broadcast(node.to_bytes())?;
            node
        } else {
            let root = ranks.communicator.broadcast(Vec::new())?;
            let root = TreeNode::from_bytes(&root, about)?;
            self.fetch(ranks, &mut Vec::new())?;
            let sum = GradientSum::default();
            self.executor.set_gradients(&root.gradients, sum)?;
            root
        };
        if root.metrics.len() != count {
            return Err(Error::Rank(format!(
                "expected the metrics of {count} micro-batches from the ranks, received those of {}",
                root.metrics.len()
            )));
        }
        ranks.stops |= root.interrupted;
        self.pending.add_parts(root.metrics);
        self.executor.enqueue(&batch.step(update))?;
        ranks.updates += 1;
        Ok(())
    }

    /// Waits for the steps so far and adds the metrics of micro-batches to `metrics`; updates before them belong
    /// to earlier batches.
    fn fetch(&mut self, ranks: &mut RankGroup, metrics: &mut Vec<StepMetrics>) -> Result<()> {
        let mut steps = self.executor.completed(true)?;
        let updates = ranks.updates.min(steps.len());
        ranks.updates -= updates;
        metrics.extend(steps.drain(updates..));
        self.pending.add_ends(steps);
        Ok(())
    }

    /// Counts updates whose metrics were fetched between batches.
    pub(super) fn fetched_updates(&mut self, count: usize) {
        if let Some(ranks) = &mut self.ranks {
            ranks.updates -= count.min(ranks.updates);
        }
    }

    /// Forgets what is under way.
    pub(super) fn forget_updates(&mut self) {
        if let Some(ranks) = &mut self.ranks {
            ranks.updates = 0;
        }
    }

    /// Whether this rank evaluates a batch.
    pub(super) fn evaluates(&self, batch: usize) -> bool {
        let ranks = self.ranks.as_ref().map(RankGroup::place);
        ranks.is_none_or(|(rank, size)| batch % size == rank)
    }

    /// The metrics of all batches of an evaluation, of which this rank has evaluated its own; `None` if some rank
    /// has stopped.
    pub(super) fn merge_metrics(
        &mut self,
        own: Vec<StepMetrics>,
        stopped: bool,
    ) -> Result<Option<Mean>> {
        let metrics = match &mut self.ranks {
            None => (!stopped).then_some(own),
            Some(ranks) => ranks.merge(own, stopped)?,
        };
        Ok(metrics.map(|metrics| {
            let mut mean = Mean::default();
            metrics.iter().for_each(|step| mean.add(step));
            mean
        }))
    }

    /// Checks that all ranks have the same weights.
    ///
    /// # Errors
    /// The first rank that has others: its device computes something else.
    pub(super) fn compare_weights(&mut self) -> Result<()> {
        let Some(ranks) = &mut self.ranks else {
            return Ok(());
        };
        let all = ranks
            .communicator
            .gather(self.state.weights_hash().into_bytes())?;
        let other = all.iter().position(|hash| *hash != all[0]);
        let verdict = other.map_or(String::new(), |rank| rank.to_string());
        let verdict = ranks.communicator.broadcast(verdict.into_bytes())?;
        if verdict.is_empty() {
            return Ok(());
        }
        Err(Error::Rank(format!(
            "after the epoch, rank {} has other weights than rank 0, so its device computes something else; \
             expected ranks on devices of one kind with one driver",
            String::from_utf8_lossy(&verdict)
        )))
    }
}
