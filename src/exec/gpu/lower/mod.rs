//! Lowering: from operations to kernel calls.
//!
//! There is a file for each stem in `shaders`; `correlation` holds the tables of algorithms for the
//! `passes` of convolutions and dense layers, and `fuse` finds operations that run in the calls of
//! their neighbours.

mod activation;
mod adjust;
mod affine;
mod batch_norm;
mod clip;
mod correlation;
mod dropout;
mod elastic;
mod erase;
mod fuse;
mod gather;
mod loss;
mod merge;
mod mix;
mod noise;
mod passes;
mod pool2d;
mod regularize;
mod rescale;
mod resize;
mod shared;
mod softmax;
mod update;

use std::collections::HashMap;
use std::ops::Range;

use adjust::BehindContrast;
pub use correlation::algorithms;
use correlation::{Calls, Partials};
use fuse::{behind_contrasts, fused_dense_grad, fused_pools};
pub use gather::ImageParts;
use loss::FusedDenseGrad;
use passes::{BackwardInput, BackwardWeight, Forward, FusedPool};
use update::BLOCK;
pub use update::{Block, reduce};

use super::call::Call;
use super::operand::Operand;
use super::tuning::Tuning;
use crate::plan::{
    AdjustBrightness, AdjustContrast, BatchNormBackwardWeight, BatchNormStatistics, BufferId,
    ClipGradients, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, DenseBackwardInput,
    DenseBackwardWeight, Erase, Gather, LossOp, Op, Plan, PlanPart, Pool2dBackward, Pool2dForward,
    Regularize, Role, Through, Update,
};

/// Whether operations run one by one or as a step with fusion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoweringMode {
    /// Each operation writes all its outputs. For tests, fixtures and comparison.
    #[default]
    Alone,
    /// Neighbours are fused, for example a convolution and the max pool after it; the tensors
    /// between them are not written.
    Step,
}

/// All calls of a plan, by operation, and their memory in addition to the plan's buffers.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// The calls of each operation.
    pub ops: Vec<Vec<Call<Operand>>>,
    /// The blocks of each operation that remain to be summed, as a range of `blocks`.
    pub pending: Vec<Range<usize>>,
    /// The blocks that consist of partials.
    pub blocks: Vec<Block>,
    /// Number of blocks summed before the optimizer's call.
    summed: usize,
    mode: LoweringMode,
    /// Number of floats of partial sums.
    pub partials: usize,
    /// The pools fused with the convolution before them.
    fused: Vec<FusedPool>,
    /// The dense layer whose input gradient the loss's call computes.
    fused_dense: Option<FusedDenseGrad>,
    /// What the calls of contrasts compute behind them, by the contrasts' results.
    behind_contrasts: HashMap<BufferId, BehindContrast>,
}

/// The largest number of partials that one invocation sums.
fn max_splits(blocks: &[Block]) -> usize {
    let splits = blocks.iter().map(|block| block.splits as usize);
    splits.max().unwrap_or_default().max(1)
}

/// The call of a plan's gather.
pub fn gather_of(plan: &Plan, tuning: &Tuning, parts: ImageParts) -> Option<Call<Operand>> {
    let gather = plan.ops.iter().find_map(Op::downcast)?;
    Some(gather::call(plan, tuning, gather, parts))
}

impl Lowered {
    /// Lowers `plan` for an adapter with this tuning.
    pub fn new(plan: &Plan, tuning: &Tuning, mode: LoweringMode) -> Self {
        let mut lowered = Self {
            mode,
            ..Self::default()
        };
        if mode == LoweringMode::Step && tuning.algorithm.is_none() {
            lowered.fused = fused_pools(plan, tuning);
            lowered.fused_dense = fused_dense_grad(plan, tuning);
            lowered.behind_contrasts = behind_contrasts(plan);
        }
        for op in &plan.ops {
            let before = lowered.blocks.len();
            let calls = lowered.lower(plan, tuning, op);
            lowered.ops.push(calls);
            lowered.pending.push(before..lowered.blocks.len());
        }
        // There is no optimizer's call that would sum the partials.
        if matches!(plan.part, PlanPart::Gradients { .. })
            && let Some(sum) = lowered.sum_now(tuning)
            && let Some(last) = lowered.ops.last_mut()
        {
            last.push(sum);
        }
        lowered
    }

    /// Size in bytes of the plan's own WGSL, a measure of its compile time.
    pub fn text_bytes(&self) -> usize {
        self.ops.iter().flatten().map(Call::text_bytes).sum()
    }

    /// Part number `part` of the step's calls, of `parts` with about as much text each. A call
    /// belongs to the part that contains its middle.
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

    /// The call that sums the partials so far, for operations of a step that need whole gradients
    /// before the optimizer.
    fn sum_now(&mut self, tuning: &Tuning) -> Option<Call<Operand>> {
        let rest = self.summed..self.blocks.len();
        if self.mode == LoweringMode::Alone || rest.is_empty() {
            return None;
        }
        self.summed = rest.end;
        let splits = max_splits(&self.blocks[rest.clone()]);
        Some(reduce(tuning, rest).loads(splits))
    }

    /// All blocks of the arena in order, for the optimizer of a step, which sums the partials.
    pub fn arena(&self, plan: &Plan) -> Vec<Block> {
        let mut arena = vec![Block::default(); plan.layout.len.div_ceil(BLOCK)];
        for block in &self.blocks[self.summed..] {
            arena[block.to as usize * 4 / BLOCK] = *block;
        }
        arena
    }

    /// Removes the gather, whose buffers depend on the data set.
    pub fn leave_out_gather(&mut self, plan: &Plan) {
        for (calls, op) in self.ops.iter_mut().zip(&plan.ops) {
            if op.downcast::<Gather>().is_some() {
                calls.clear();
            }
        }
    }

    fn lower(&mut self, plan: &Plan, tuning: &Tuning, op: &Op) -> Vec<Call<Operand>> {
        match op {
            Op::Gather(op) => vec![gather::call(plan, tuning, op, ImageParts::ONE)],
            Op::DrawMaps(op) => vec![affine::draw(plan, tuning, op)],
            Op::AffineTransform(op) => vec![affine::transform(plan, tuning, op)],
            Op::DrawNoise(op) => vec![elastic::noise(plan, tuning, op)],
            Op::BlurNoise(op) => elastic::blur(plan, tuning, op, &mut self.partials),
            Op::DisplacePixels(op) => vec![elastic::displace(plan, tuning, op)],
            Op::AdjustContrast(op) => self.adjust_contrast(plan, tuning, op),
            Op::AdjustBrightness(op) => self.adjust_brightness(plan, tuning, op),
            Op::Erase(op) => self.erase(plan, tuning, op),
            Op::AddNoise(op) => vec![noise::call(plan, tuning, op)],
            Op::ResizeForward(op) => vec![resize::forward(plan, tuning, op)],
            Op::ResizeBackward(op) => vec![resize::backward(plan, tuning, op)],
            Op::DrawMixes(op) => vec![mix::draw(plan, tuning, op)],
            Op::MixRows(op) => vec![mix::rows(plan, tuning, op)],
            Op::Conv2dForward(op) => self.conv2d_forward(plan, tuning, op),
            Op::Conv2dBackwardInput(op) => self.conv2d_backward_input(plan, tuning, op),
            Op::Conv2dBackwardWeight(op) => self.conv2d_backward_weight(plan, tuning, op),
            Op::Pool2dForward(op) => self.pool2d_forward(plan, tuning, op),
            Op::Pool2dBackward(op) => self.pool2d_backward(plan, tuning, op),
            Op::DenseForward(op) => Forward::dense(plan, op).calls(tuning).calls,
            Op::DenseBackwardInput(op) => self.dense_backward_input(plan, tuning, op),
            Op::DenseBackwardWeight(op) => self.dense_backward_weight(plan, tuning, op),
            Op::ActivationForward(op) => vec![activation::forward(plan, tuning, op)],
            Op::ActivationBackward(op) => vec![activation::backward(plan, tuning, op)],
            Op::SoftmaxForward(op) => vec![softmax::forward(plan, tuning, op)],
            Op::SoftmaxBackward(op) => vec![softmax::backward(plan, tuning, op)],
            Op::Loss(op) => self.loss(plan, tuning, op),
            Op::Dropout(op) => vec![dropout::call(plan, tuning, op)],
            Op::Rescale(op) => vec![rescale::call(plan, tuning, op)],
            Op::Add(op) => vec![merge::add(plan, tuning, op)],
            Op::ConcatenateForward(op) => vec![merge::concatenate_forward(plan, tuning, op)],
            Op::ConcatenateBackward(op) => vec![merge::concatenate_backward(plan, tuning, op)],
            Op::BatchNormStatistics(op) => self.batch_norm_statistics(plan, tuning, op),
            Op::BatchNormMove(op) => vec![batch_norm::move_statistic(plan, tuning, op)],
            Op::BatchNormForward(op) => vec![batch_norm::forward(plan, tuning, op)],
            Op::BatchNormBackwardWeight(op) => self.batch_norm_backward_weight(plan, tuning, op),
            Op::BatchNormBackwardInput(op) => vec![batch_norm::backward_input(plan, tuning, op)],
            Op::Regularize(op) => self.regularize(plan, tuning, op),
            Op::ClipGradients(op) => self.clip_gradients(plan, tuning, op),
            Op::Update(op) => vec![self.update(plan, tuning, op)],
        }
    }

    /// These calls, after the one that sums the partials so far.
    fn after_sums(&mut self, tuning: &Tuning, calls: Vec<Call<Operand>>) -> Vec<Call<Operand>> {
        self.sum_now(tuning).into_iter().chain(calls).collect()
    }

    fn adjust_contrast(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &AdjustContrast,
    ) -> Vec<Call<Operand>> {
        let behind = self.behind_contrasts.get(&op.y).cloned();
        adjust::contrast(
            plan,
            tuning,
            op,
            &behind.unwrap_or_default(),
            &mut self.partials,
        )
    }

    /// No call if a contrast's call includes it.
    fn adjust_brightness(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &AdjustBrightness,
    ) -> Vec<Call<Operand>> {
        let mut behind = self.behind_contrasts.values();
        if behind.any(|behind| behind.brightness.as_ref() == Some(op)) {
            return vec![];
        }
        vec![adjust::brightness(plan, tuning, op)]
    }

    /// No call if a contrast's call includes it.
    fn erase(&self, plan: &Plan, tuning: &Tuning, op: &Erase) -> Vec<Call<Operand>> {
        let mut behind = self.behind_contrasts.values();
        if behind.any(|behind| behind.erase.as_ref() == Some(op)) {
            return vec![];
        }
        vec![erase::call(plan, tuning, op)]
    }

    fn loss(&mut self, plan: &Plan, tuning: &Tuning, op: &LossOp) -> Vec<Call<Operand>> {
        let fused = self.fused_dense.as_ref();
        loss::calls(plan, tuning, op, fused, &mut self.partials)
    }

    fn batch_norm_statistics(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &BatchNormStatistics,
    ) -> Vec<Call<Operand>> {
        batch_norm::statistics(plan, tuning, op, &mut self.partials)
    }

    fn batch_norm_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &BatchNormBackwardWeight,
    ) -> Vec<Call<Operand>> {
        batch_norm::backward_weight(plan, tuning, op, &mut self.partials)
    }

    fn regularize(&mut self, plan: &Plan, tuning: &Tuning, op: &Regularize) -> Vec<Call<Operand>> {
        let calls = regularize::calls(plan, tuning, op, &mut self.partials);
        self.after_sums(tuning, calls)
    }

    fn clip_gradients(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &ClipGradients,
    ) -> Vec<Call<Operand>> {
        let calls = clip::calls(plan, tuning, op, &mut self.partials);
        self.after_sums(tuning, calls)
    }

    fn update(&self, plan: &Plan, tuning: &Tuning, op: &Update) -> Call<Operand> {
        let splits = max_splits(&self.blocks[self.summed..]);
        update::call(plan, tuning, op).loads(splits)
    }

    fn conv2d_forward(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dForward,
    ) -> Vec<Call<Operand>> {
        let pool = self.fused.iter().find(|pool| pool.between == op.y);
        Forward::conv2d(plan, op, pool).calls(tuning).calls
    }

    fn conv2d_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardInput,
    ) -> Vec<Call<Operand>> {
        let pool = self.pool_of_gradient(op.dy);
        BackwardInput::conv2d(plan, op, pool).calls(tuning).calls
    }

    fn conv2d_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardWeight,
    ) -> Vec<Call<Operand>> {
        let pool = self.pool_of_gradient(op.dy);
        let pass = BackwardWeight::conv2d(plan, op, pool, self.partials);
        self.sum_later(plan, pass.calls(tuning), op.dw, op.dbias)
    }

    /// No call if the convolution's call includes the pool.
    fn pool2d_forward(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Pool2dForward,
    ) -> Vec<Call<Operand>> {
        if self.fused.iter().any(|f| f.y == op.y) {
            return vec![];
        }
        vec![pool2d::forward(plan, tuning, op)]
    }

    /// No call if the convolution's calls include it.
    fn pool2d_backward(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Pool2dBackward,
    ) -> Vec<Call<Operand>> {
        // The largest cell is the pool's own output, which is also the activation's.
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

    /// No call if the loss's call includes it.
    fn dense_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &DenseBackwardInput,
    ) -> Vec<Call<Operand>> {
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
    ) -> Vec<Call<Operand>> {
        let pass = BackwardWeight::dense(plan, op, self.partials);
        self.sum_later(plan, pass.calls(tuning), op.dw, op.dbias)
    }

    /// The fused pool whose backward pass computes `dy`.
    fn pool_of_gradient(&self, dy: BufferId) -> Option<&FusedPool> {
        let has = |f: &&FusedPool| f.gradients.is_some_and(|(_, gradient)| gradient == dy);
        self.fused.iter().find(has)
    }

    /// Registers the gradients whose partials `calls` write.
    fn sum_later(
        &mut self,
        plan: &Plan,
        calls: Calls,
        dw: BufferId,
        dbias: Option<BufferId>,
    ) -> Vec<Call<Operand>> {
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
