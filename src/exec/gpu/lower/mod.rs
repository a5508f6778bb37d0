//! From operations to kernel calls: the table that names, for each operation, what runs.
//!
//! A file for each stem in `shaders`; `correlation` has the convolutions and dense layers, whose `passes` it
//! looks up in tables, and `fuse` finds operations that run in the calls of their neighbours.

mod activation;
mod batch_norm;
mod clip;
mod correlation;
mod dropout;
mod fuse;
mod gather;
mod loss;
mod passes;
mod pool2d;
mod regularize;
mod rescale;
mod shared;
mod softmax;
mod update;

use std::ops::Range;

pub use correlation::algorithms;
use correlation::{Calls, Partials};
use fuse::{fused_dense_grad, fused_pools};
use loss::FusedDenseGrad;
use passes::{BackwardInput, BackwardWeight, Forward, FusedPool};
use update::BLOCK;
pub use update::{Block, reduce};

use super::call::Call;
use super::slot::Slot;
use super::tuning::Tuning;
use crate::plan::{
    BufferId, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, DenseBackwardInput,
    DenseBackwardWeight, Op, Plan, Pool2dBackward, Pool2dForward, Role, Through,
};

/// Whether operations run one by one, or as a step in which neighbours are fused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Each operation writes what the plan says. For tests, fixtures and comparison.
    #[default]
    Alone,
    /// A convolution and the max pool behind it are one call; what lies between is not written.
    Step,
}

/// All calls of a plan, operation by operation, and what they need beside the plan's buffers.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// For each operation its calls.
    pub ops: Vec<Vec<Call<Slot>>>,
    /// For each operation the blocks that are still to be summed, as a range of `blocks`.
    pub pending: Vec<Range<usize>>,
    /// The blocks that are sums of partials.
    pub blocks: Vec<Block>,
    /// How many of those a call before the optimizer's has summed.
    summed: usize,
    mode: Mode,
    /// Floats of partial sums.
    pub partials: usize,
    /// The pools that are fused with the convolution before them.
    fused: Vec<FusedPool>,
    /// The dense layer whose input's gradient the loss's call makes.
    fused_dense: Option<FusedDenseGrad>,
}

/// The most partials that one invocation adds up.
fn most_splits(blocks: &[Block]) -> usize {
    let splits = blocks.iter().map(|block| block.splits as usize);
    splits.max().unwrap_or_default().max(1)
}

/// Images that lie in one buffer, however many.
const ONE_PART: (usize, usize) = (1, usize::MAX);

/// The call of a plan's gather out of so many parts of so many images.
pub fn gather_of(plan: &Plan, parts: (usize, usize)) -> Option<Call<Slot>> {
    plan.ops.iter().find_map(|op| match op {
        Op::Gather(op) => Some(gather::call(plan, op, parts)),
        _ => None,
    })
}

impl Lowered {
    /// The calls of `plan` for an adapter with this tuning.
    pub fn new(plan: &Plan, tuning: &Tuning, mode: Mode) -> Self {
        let mut lowered = Self {
            mode,
            ..Self::default()
        };
        if mode == Mode::Step && tuning.algorithm.is_none() {
            lowered.fused = fused_pools(plan, tuning);
            lowered.fused_dense = fused_dense_grad(plan, tuning);
        }
        for op in &plan.ops {
            let before = lowered.blocks.len();
            let calls = lowered.lower(plan, tuning, op);
            lowered.ops.push(calls);
            lowered.pending.push(before..lowered.blocks.len());
        }
        lowered
    }

    /// Bytes of WGSL that are this plan's own. Drivers take about so long to compile it.
    pub fn text_bytes(&self) -> usize {
        self.ops.iter().flatten().map(Call::text_bytes).sum()
    }

    /// The calls of a stretch of the step: of `parts` with about as much text each, the one numbered
    /// `part`. A call belongs to the stretch that its middle lies in.
    pub fn stretch(&self, part: usize, parts: usize) -> Self {
        let mut stretch = self.clone();
        let total = self.text_bytes().max(1);
        let mut before = 0;
        for calls in &mut stretch.ops {
            calls.retain(|call| {
                let middle = before + call.text_bytes() / 2;
                before += call.text_bytes();
                middle * parts / total == part
            });
        }
        stretch
    }

    /// The call that sums what partials there are, for operations of a step that need whole gradients
    /// before the optimizer does.
    fn sum_now(&mut self, tuning: &Tuning) -> Option<Call<Slot>> {
        let rest = self.summed..self.blocks.len();
        if self.mode == Mode::Alone || rest.is_empty() {
            return None;
        }
        self.summed = rest.end;
        let splits = most_splits(&self.blocks[rest.clone()]);
        Some(reduce(tuning, rest).loads(splits))
    }

    /// All blocks of the arena in their order, for the optimizer of a step: it sums the partials on
    /// the way.
    pub fn arena(&self, plan: &Plan) -> Vec<Block> {
        let mut arena = vec![Block::default(); plan.layout.len.div_ceil(BLOCK)];
        for block in &self.blocks[self.summed..] {
            arena[block.to as usize * 4 / BLOCK] = *block;
        }
        arena
    }

    /// Leaves out the gather, whose buffers are known only when a data set is.
    pub fn leave_out_gather(&mut self, plan: &Plan) {
        for (calls, op) in self.ops.iter_mut().zip(&plan.ops) {
            if matches!(op, Op::Gather(_)) {
                calls.clear();
            }
        }
    }

    fn lower(&mut self, plan: &Plan, tuning: &Tuning, op: &Op) -> Vec<Call<Slot>> {
        match op {
            Op::Gather(op) => vec![gather::call(plan, op, ONE_PART)],
            Op::Conv2dForward(op) => self.conv2d_forward(plan, tuning, op),
            Op::Conv2dBackwardInput(op) => self.conv2d_backward_input(plan, tuning, op),
            Op::Conv2dBackwardWeight(op) => self.conv2d_backward_weight(plan, tuning, op),
            Op::Pool2dForward(op) => self.pool2d_forward(plan, tuning, op),
            Op::Pool2dBackward(op) => self.pool2d_backward(plan, tuning, op),
            Op::DenseForward(op) => Forward::dense(plan, op).calls(tuning).calls,
            Op::DenseBackwardInput(op) => self.dense_backward_input(plan, tuning, op),
            Op::DenseBackwardWeight(op) => self.dense_backward_weight(plan, tuning, op),
            Op::ActivationForward(op) => vec![activation::forward(plan, op)],
            Op::ActivationBackward(op) => vec![activation::backward(plan, op)],
            Op::SoftmaxForward(op) => vec![softmax::forward(plan, op)],
            Op::SoftmaxBackward(op) => vec![softmax::backward(plan, op)],
            Op::Loss(op) => vec![loss::call(plan, tuning, op, self.fused_dense.as_ref())],
            Op::Dropout(op) => vec![dropout::call(plan, tuning, op)],
            Op::Rescale(op) => vec![rescale::call(plan, tuning, op)],
            Op::BatchNormStatistics(op) => {
                batch_norm::statistics(plan, tuning, op, &mut self.partials)
            }
            Op::BatchNormForward(op) => vec![batch_norm::forward(plan, tuning, op)],
            Op::BatchNormBackwardWeight(op) => {
                batch_norm::backward_weight(plan, tuning, op, &mut self.partials)
            }
            Op::BatchNormBackwardInput(op) => vec![batch_norm::backward_input(plan, tuning, op)],
            Op::Regularize(op) => {
                let calls = regularize::calls(plan, tuning, op, &mut self.partials);
                self.after_sums(tuning, calls)
            }
            Op::ClipGradients(op) => {
                let calls = clip::calls(plan, tuning, op, &mut self.partials);
                self.after_sums(tuning, calls)
            }
            Op::Update(op) => {
                let splits = most_splits(&self.blocks[self.summed..]);
                vec![update::call(plan, tuning, &op.optimizer).loads(splits)]
            }
        }
    }

    /// These calls, after the one that sums what partials there are.
    fn after_sums(&mut self, tuning: &Tuning, calls: Vec<Call<Slot>>) -> Vec<Call<Slot>> {
        self.sum_now(tuning).into_iter().chain(calls).collect()
    }

    fn conv2d_forward(&self, plan: &Plan, tuning: &Tuning, op: &Conv2dForward) -> Vec<Call<Slot>> {
        let pool = self.fused.iter().find(|pool| pool.between == op.y);
        Forward::conv2d(plan, op, pool).calls(tuning).calls
    }

    fn conv2d_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardInput,
    ) -> Vec<Call<Slot>> {
        let pool = self.pool_behind(op.dy);
        BackwardInput::conv2d(plan, op, pool).calls(tuning).calls
    }

    fn conv2d_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardWeight,
    ) -> Vec<Call<Slot>> {
        let pool = self.pool_behind(op.dy);
        let pass = BackwardWeight::conv2d(plan, op, pool, self.partials);
        self.sum_later(plan, pass.calls(tuning), op.dw, op.dbias)
    }

    /// No call where the convolution's has made the pool.
    fn pool2d_forward(&self, plan: &Plan, tuning: &Tuning, op: &Pool2dForward) -> Vec<Call<Slot>> {
        if self.fused.iter().any(|f| f.y == op.y) {
            return vec![];
        }
        vec![pool2d::forward(plan, tuning, op)]
    }

    /// No call where the convolution's calls take it in.
    fn pool2d_backward(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Pool2dBackward,
    ) -> Vec<Call<Slot>> {
        // The largest cell is the pool's own output, so that is what the activation made.
        let mut pools = self.fused.iter();
        let fused = pools.find(|f| f.argmax.is_some() && f.argmax == op.argmax);
        if fused.is_some_and(|f| f.absorbed) {
            return vec![];
        }
        let through = op.through.map(|t| match fused {
            Some(fused) => (Through { y: fused.y, ..t }, 1),
            None => (t, 0),
        });
        vec![pool2d::backward(plan, tuning, op, through)]
    }

    /// No call where the loss's has made it.
    fn dense_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &DenseBackwardInput,
    ) -> Vec<Call<Slot>> {
        if self.fused_dense.as_ref().is_some_and(|d| d.dx == op.dx) {
            return vec![];
        }
        BackwardInput::dense(plan, op).calls(tuning).calls
    }

    fn dense_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &DenseBackwardWeight,
    ) -> Vec<Call<Slot>> {
        let pass = BackwardWeight::dense(plan, op, self.partials);
        self.sum_later(plan, pass.calls(tuning), op.dw, op.dbias)
    }

    /// The fused pool whose backward pass makes `dy`.
    fn pool_behind(&self, dy: BufferId) -> Option<&FusedPool> {
        let behind = |f: &&FusedPool| f.gradients.is_some_and(|(_, gradient)| gradient == dy);
        self.fused.iter().find(behind)
    }

    /// Notes which gradients are sums of the partials that `calls` leave.
    fn sum_later(
        &mut self,
        plan: &Plan,
        calls: Calls,
        dw: BufferId,
        dbias: Option<BufferId>,
    ) -> Vec<Call<Slot>> {
        if let Some(partials) = calls.partials {
            let first = self.partials;
            self.partials += partials.stride * partials.splits;
            self.sum_blocks(plan, dw, first, partials);
            if let Some(dbias) = dbias {
                self.sum_blocks(plan, dbias, first + partials.bias_at, partials);
            }
        }
        calls.calls
    }

    fn sum_blocks(&mut self, plan: &Plan, gradient: BufferId, first: usize, partials: Partials) {
        let Role::Gradient(i) = plan.buffer(gradient).role else {
            return;
        };
        let parameter = &plan.layout.parameters[i];
        for block in 0..parameter.len().div_ceil(BLOCK) {
            self.blocks.push(Block {
                to: ((parameter.offset + block * BLOCK) / 4) as u32,
                first: ((first + block * BLOCK) / 4) as u32,
                stride: (partials.stride / 4) as u32,
                splits: partials.splits as u32,
            });
        }
    }
}
