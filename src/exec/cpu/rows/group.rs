//! How a task processes its rows: block by block, each block through all operations.

use std::ops::Range;

use pulp::Arch;

use super::super::activation;
use super::super::loss_sum::LossSum;
use super::super::pool_gradient::{PoolGradient, UnpoolBuffers};
use super::super::weights::KernelGradient;
use crate::exec::host::Memory;
use crate::plan::{BufferId, Through};

/// Rows per block: enough to use a kernel several times while it is in cache, few enough that their
/// tensors are in cache too.
pub(super) const BLOCK: usize = 4;

/// An operation that computes each row of its results independently.
pub trait RowWise: Send + Sync {
    /// Packs the operation's kernel, once for all tasks.
    fn pack(&self, _arch: Arch, _memory: &Memory<'_>, _packed: &mut Vec<f32>) {}

    /// Computes some rows of the operation's results.
    fn run(&self, block: &mut RowBlock<'_, '_, '_>);
}

impl<T: RowWise> RowWise for &T {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        (**self).pack(arch, memory, packed);
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        (**self).run(block);
    }
}

/// An operation of the sequence that each task runs on its rows.
pub enum SequenceOp<'a> {
    /// Each row independently.
    Rows {
        /// The operation.
        op: Box<dyn RowWise + 'a>,
        /// The buffers that it writes.
        writes: Vec<BufferId>,
    },
    /// A sum over the rows.
    Weights(KernelGradient),
}

/// Shared by all tasks.
pub(super) struct Stage<'a> {
    pub(super) arch: Arch,
    pub(super) ops: &'a [SequenceOp<'a>],
    pub(super) packed: &'a [Vec<f32>],
    pub(super) memory: &'a Memory<'a>,
}

/// The group of rows that one task owns: their memory by buffer, and sums by operation.
pub(super) struct RowGroup<'a> {
    /// Its rows in the batch.
    pub(super) rows: Range<usize>,
    pub(super) floats: Vec<Option<&'a mut [f32]>>,
    pub(super) words: Vec<Option<&'a mut [u32]>>,
    pub(super) sums: Vec<&'a mut [f32]>,
    pub(super) loss: LossSum,
}

impl<'a> SequenceOp<'a> {
    /// An operation that computes each row independently and writes these buffers.
    pub fn rows(op: impl RowWise + 'a, writes: Vec<BufferId>) -> Self {
        Self::Rows {
            op: Box::new(op),
            writes,
        }
    }

    /// The buffers that it writes row by row.
    pub(super) fn writes_rows(&self) -> &[BufferId] {
        match self {
            Self::Rows { writes, .. } => writes,
            Self::Weights(_) => &[],
        }
    }

    /// The gradient that the tasks sum, if it is one.
    pub(super) fn summed(&self) -> Option<KernelGradient> {
        self.gradient().filter(KernelGradient::by_samples)
    }

    /// Packs its kernel, once for all tasks.
    pub(super) fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        match self {
            Self::Rows { op, .. } => op.pack(arch, memory, packed),
            Self::Weights(_) => {}
        }
    }

    /// The gradient, if it is one.
    pub fn gradient(&self) -> Option<KernelGradient> {
        match self {
            Self::Weights(gradient) => Some(*gradient),
            Self::Rows { .. } => None,
        }
    }
}

/// Some rows of a task, and the operation to run on them.
pub struct RowBlock<'t, 'g, 's> {
    group: &'t mut RowGroup<'g>,
    stage: &'t Stage<'s>,
    /// The operation's index in the sequence.
    number: usize,
    /// The rows' indices in the batch.
    rows: Range<usize>,
}

impl<'g> RowGroup<'g> {
    /// Runs all operations on its rows, block by block.
    pub(super) fn run(&mut self, stage: &Stage<'_>) {
        for sums in &mut self.sums {
            sums.fill(0.0);
        }
        for first in self.rows.clone().step_by(BLOCK) {
            let rows = first..self.rows.end.min(first + BLOCK);
            for number in 0..stage.ops.len() {
                let mut block = RowBlock {
                    group: self,
                    stage,
                    number,
                    rows: rows.clone(),
                };
                block.run();
            }
        }
    }
}

impl<'t, 's> RowBlock<'t, '_, 's> {
    fn run(&mut self) {
        match &self.stage.ops[self.number] {
            SequenceOp::Rows { op, .. } => op.run(self),
            SequenceOp::Weights(_) => self.add_gradient(),
        }
    }

    fn add_gradient(&mut self) {
        if let Some(gradient) = self.stage.ops[self.number].summed() {
            let sums = std::mem::take(&mut self.group.sums[self.number]);
            let dy = match &gradient.unpool {
                Some(unpool) => self.pool_gradient(unpool).into(),
                None => self.floats(gradient.dy).into(),
            };
            gradient.add(self.stage.arch, self.floats(gradient.x), dy, sums);
            self.group.sums[self.number] = sums;
        }
    }

    /// The processor's vector instructions.
    pub fn arch(&self) -> Arch {
        self.stage.arch
    }

    /// The memory of the whole batch, for data that are not rows: parameters, statistics and the
    /// step's values.
    pub fn memory(&self) -> &'t Memory<'s> {
        self.stage.memory
    }

    /// What the operation packed.
    pub fn packed(&self) -> &'t [f32] {
        &self.stage.packed[self.number]
    }

    /// The rows' numbers in the batch.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The rows' places in a batch of which this may be a part: what random draws are keyed by.
    pub fn places(&self) -> Range<usize> {
        let first = self.memory().part.first;
        first + self.rows.start..first + self.rows.end
    }

    /// How many of the rows are valid.
    pub fn valid(&self) -> usize {
        let before_end = self.memory().rows.saturating_sub(self.rows.start);
        before_end.min(self.rows.len())
    }

    /// The rows of a float buffer.
    pub fn floats(&self, id: BufferId) -> &[f32] {
        match self.group.floats.get(id.0) {
            Some(Some(own)) => &own[part(own.len(), &self.group.rows, &self.rows)],
            _ => {
                let all = self.stage.memory.floats(id);
                &all[part(all.len(), &(0..self.stage.memory.batch), &self.rows)]
            }
        }
    }

    /// The rows of a buffer of words.
    pub fn words(&self, id: BufferId) -> &[u32] {
        match self.group.words.get(id.0) {
            Some(Some(own)) => &own[part(own.len(), &self.group.rows, &self.rows)],
            _ => {
                let all = self.stage.memory.words(id);
                &all[part(all.len(), &(0..self.stage.memory.batch), &self.rows)]
            }
        }
    }

    /// The rows of the gradient of a pool.
    pub fn pool_gradient(&self, buffers: &UnpoolBuffers) -> PoolGradient<'_> {
        PoolGradient {
            windows: buffers.windows,
            dy: self.floats(buffers.dy),
            argmax: self.words(buffers.argmax),
            relu: buffers.relu.map(|id| self.floats(id)),
        }
    }

    /// Calls `f` with the rows of a float buffer, to be written while others are read.
    pub fn write<T>(
        &mut self,
        id: BufferId,
        f: impl FnOnce(&mut Self, &mut [f32]) -> T,
    ) -> Option<T> {
        let own = self.group.floats.get_mut(id.0)?.take()?;
        let part = part(own.len(), &self.group.rows, &self.rows);
        let result = f(self, &mut own[part]);
        self.group.floats[id.0] = Some(own);
        Some(result)
    }

    /// As [`RowBlock::write`], for a buffer of words.
    pub fn write_words<T>(
        &mut self,
        id: BufferId,
        f: impl FnOnce(&mut Self, &mut [u32]) -> T,
    ) -> Option<T> {
        let own = self.group.words.get_mut(id.0)?.take()?;
        let part = part(own.len(), &self.group.rows, &self.rows);
        let result = f(self, &mut own[part]);
        self.group.words[id.0] = Some(own);
        Some(result)
    }

    /// Multiplies `dx` by the derivative of the activation that it goes through.
    pub fn through(&self, through: Option<Through>, dx: &mut [f32]) {
        if let Some(Through { y, activation }) = through {
            activation::backward(self.stage.arch, activation, self.floats(y), dx);
        }
    }

    /// Adds to the step's loss and its count of correct rows.
    pub fn add_loss(&mut self, sum: LossSum) {
        self.group.loss.add(sum);
    }
}

/// The range of the rows `block` in an array of `len` elements that holds `rows`.
fn part(len: usize, rows: &Range<usize>, block: &Range<usize>) -> Range<usize> {
    let row = len / rows.len();
    (block.start - rows.start) * row..(block.end - rows.start) * row
}
