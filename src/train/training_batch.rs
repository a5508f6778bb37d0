//! Training steps: one step of the executor for a batch, or several if it is cut into micro-batches.

use super::Trainer;
use super::trainer::Pass;
use crate::distributed::{TreeAct, acts};
use crate::error::Result;
use crate::exec::{BatchPart, DataId, Executor, Program, Step, StepMetrics};
use crate::optimizer::Rates;
use crate::rng::Key;

/// The rows of a training step and its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct TrainingBatch {
    pub(super) data: DataId,
    pub(super) offset: usize,
    pub(super) rows: usize,
    pub(super) rates: Rates,
    pub(super) key: Key,
}

impl TrainingBatch {
    /// The step of a program on all rows.
    pub(super) fn step(&self, program: Program) -> Step {
        let rows = self.offset..self.offset + self.rows;
        Step::new(program, self.data, rows, self.rates, self.key)
    }

    /// The step on the rows of a micro-batch of `each` rows, the last of which may be shorter.
    pub(super) fn part(&self, program: Program, number: usize, each: usize) -> Step {
        let first = number * each;
        Step {
            offset: self.offset + first,
            rows: each.min(self.rows - first),
            part: BatchPart::new(first, self.rows),
            ..self.step(program)
        }
    }
}

impl<E: Executor + ?Sized> Trainer<E> {
    /// Enqueues a training step.
    pub(super) fn enqueue_batch(&mut self, batch: &TrainingBatch) -> Result<()> {
        let program = self.program(Pass::Training)?;
        let Some(each) = self.rows_of_parts() else {
            return self.executor.enqueue(&batch.step(program));
        };
        if self.share_batch(batch, each)? {
            return Ok(());
        }
        let update = self.program(Pass::Update)?;
        let count = batch.rows.div_ceil(each);
        for act in acts(count, (0, 1)) {
            if let TreeAct::Run { micro_batch, sum } = act {
                self.executor.enqueue(&Step {
                    sum,
                    ..batch.part(program, micro_batch, each)
                })?;
            }
        }
        self.executor.enqueue(&batch.step(update))?;
        self.pending.add(count);
        Ok(())
    }

    /// The metrics of the training steps that have finished since the last call, in order; of all enqueued ones
    /// if `wait`.
    pub(super) fn completed_batches(&mut self, wait: bool) -> Result<Vec<StepMetrics>> {
        let steps = self.executor.completed(wait)?;
        self.fetched_updates(steps.len());
        Ok(match self.rows_of_parts() {
            Some(_) => self.pending.complete(steps),
            None => steps,
        })
    }

    /// Waits for all steps and forgets their metrics.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn forget_batches(&mut self) -> Result<()> {
        self.pending = super::pending_batches::PendingBatches::default();
        self.forget_updates();
        self.executor.completed(true).map(drop)
    }

    /// The steps of the executor for a batch, for running their operations one by one.
    pub(super) fn steps_of(&mut self, batch: &TrainingBatch) -> Result<Vec<(Pass, Step)>> {
        let program = self.program(Pass::Training)?;
        let Some(each) = self.rows_of_parts() else {
            return Ok(vec![(Pass::Training, batch.step(program))]);
        };
        let update = self.program(Pass::Update)?;
        let parts = (0..batch.rows.div_ceil(each)).map(|i| batch.part(program, i, each));
        let parts = parts.map(|step| (Pass::Training, step));
        Ok(parts.chain([(Pass::Update, batch.step(update))]).collect())
    }
}
