//! From operations to kernel calls: the table that names, for each operation, what runs.

mod calls;
mod conv2d;
mod fuse;
mod layers;

use calls::{
    activation_backward, activation_forward, clip, gather, loss_call, pool2d_backward,
    pool2d_forward, softmax_backward, softmax_forward, update,
};
use conv2d::{
    conv2d_backward_input, conv2d_forward, dense, dense_backward_input, dense_forward,
    naive_backward_weight,
};
use fuse::{DenseBehind, FusedPool, dense_behind, fused_pools};

use super::call::Call;
use super::call::Vector;
use super::slot::Slot;
use super::tile::WeightGradient;
use super::tuning::Tuning;
use crate::plan::{
    BufferId, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, ConvShape,
    DenseBackwardInput, DenseBackwardWeight, Op, Plan, Pool2dBackward, Pool2dForward, Through,
};

/// A block of 64 floats of a gradient. The twin of `Block` in `shaders/partials.wgsl`; places are in
/// vec4s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Block {
    /// Where the sum belongs.
    pub to: u32,
    /// Where the first partial lies.
    pub first: u32,
    /// From one partial to the next.
    pub stride: u32,
    /// How many there are; none if the gradient is there as a whole.
    pub splits: u32,
}

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
    pub pending: Vec<std::ops::Range<usize>>,
    /// The blocks that are sums of partials.
    pub blocks: Vec<Block>,
    /// How many of those a call before the optimizer's has summed.
    summed: usize,
    mode: Mode,
    /// Floats of partial gradients.
    pub partials: usize,
    /// The pools that are fused with the convolution before them.
    fused: Vec<FusedPool>,
    /// The dense layer whose input's gradient the loss's call makes.
    dense_behind: Option<DenseBehind>,
}

/// Images that lie in one buffer, however many.
const ONE_PART: (usize, usize) = (1, usize::MAX);

/// The call of a plan's gather out of so many parts of so many images.
pub fn gather_of(plan: &Plan, parts: (usize, usize)) -> Option<Call<Slot>> {
    plan.ops.iter().find_map(|op| match op {
        Op::Gather(op) => Some(gather(plan, op, parts)),
        _ => None,
    })
}

/// Floats to a block.
const BLOCK: usize = 64;

impl Lowered {
    /// The calls of `plan` for an adapter with this tuning.
    pub fn new(plan: &Plan, tuning: &Tuning, mode: Mode) -> Self {
        let mut lowered = Self {
            mode,
            ..Self::default()
        };
        if mode == Mode::Step && !tuning.naive {
            lowered.fused = fused_pools(plan, tuning);
            lowered.dense_behind = dense_behind(plan);
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
        Some(Self::reduce(tuning, rest))
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

    /// The call that sums some blocks.
    pub fn reduce(tuning: &Tuning, range: std::ops::Range<usize>) -> Call<Slot> {
        let text = concat!(
            include_str!("../../../shaders/partials.wgsl"),
            include_str!("../../../shaders/reduce.wgsl")
        );
        Call::new("reduce", text)
            .cells(4)
            .sizes(&[("BLOCKS", range.len()), ("FIRST", range.start)])
            .invocations(range.len() * BLOCK / 4)
            .write(Slot::Gradients)
            .load(
                "blocks",
                Slot::Blocks,
                Vector::words(4),
                tuning.image_copies,
            )
            .load(
                "partials",
                Slot::Partials(0),
                Vector::floats(4),
                tuning.image_copies,
            )
    }

    fn lower(&mut self, plan: &Plan, tuning: &Tuning, op: &Op) -> Vec<Call<Slot>> {
        match op {
            Op::Gather(op) => vec![gather(plan, op, ONE_PART)],
            Op::Conv2dForward(op) => vec![self.conv2d_forward(plan, tuning, op)],
            Op::Conv2dBackwardInput(op) => vec![self.conv2d_backward_input(plan, tuning, op)],
            Op::Conv2dBackwardWeight(op) => self.conv2d_backward_weight(plan, tuning, op),
            Op::Pool2dForward(op) => self.pool2d_forward(plan, tuning, op),
            Op::Pool2dBackward(op) => self.pool2d_backward(plan, tuning, op),
            Op::DenseForward(op) => vec![dense_forward(plan, tuning, op)],
            Op::DenseBackwardInput(op) => self.dense_backward_input(plan, tuning, op),
            Op::DenseBackwardWeight(op) => self.dense_backward_weight(plan, tuning, op),
            Op::ActivationForward(op) => vec![activation_forward(plan, op)],
            Op::ActivationBackward(op) => vec![activation_backward(plan, op)],
            Op::SoftmaxForward(op) => vec![softmax_forward(plan, op)],
            Op::SoftmaxBackward(op) => vec![softmax_backward(plan, op)],
            Op::Loss(op) => vec![loss_call(plan, tuning, op, self.dense_behind.as_ref())],
            Op::Dropout(op) => vec![layers::dropout(plan, tuning, op)],
            Op::Rescale(op) => vec![layers::rescale(plan, tuning, op)],
            Op::BatchNormStatistics(op) => vec![layers::statistics(plan, tuning, op)],
            Op::BatchNormForward(op) => vec![layers::batch_norm_forward(plan, tuning, op)],
            Op::BatchNormBackwardWeight(op) => vec![layers::backward_weight(plan, tuning, op)],
            Op::BatchNormBackwardInput(op) => vec![layers::backward_input(plan, tuning, op)],
            Op::Regularize(op) => self.after_sums(tuning, layers::regularize(plan, tuning, op)),
            Op::ClipGradients(op) => self.after_sums(tuning, clip(plan, op)),
            Op::Update(op) => vec![update(plan, tuning, &op.optimizer)],
        }
    }

    /// These calls, after the one that sums what partials there are.
    fn after_sums(&mut self, tuning: &Tuning, calls: Vec<Call<Slot>>) -> Vec<Call<Slot>> {
        self.sum_now(tuning).into_iter().chain(calls).collect()
    }

    fn conv2d_forward(&self, plan: &Plan, tuning: &Tuning, op: &Conv2dForward) -> Call<Slot> {
        conv2d_forward(
            "conv2d_forward",
            tuning,
            (plan.batch, op.shape),
            (op.bias, op.activation),
            (
                [op.x, op.w, op.y],
                self.fused.iter().find(|f| f.between == op.y),
            ),
        )
    }

    fn conv2d_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardInput,
    ) -> Call<Slot> {
        conv2d_backward_input(
            "conv2d_backward_input",
            tuning,
            (plan.batch, op.shape),
            op.through,
            ([op.dy, op.w, op.dx], self.pool_behind(op.dy)),
        )
    }

    fn conv2d_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &Conv2dBackwardWeight,
    ) -> Vec<Call<Slot>> {
        let sizes = (plan.batch, op.shape);
        self.backward_weight(plan, tuning, sizes, [op.x, op.dy, op.dw], op.dbias)
    }

    /// No call where the convolution's has made the pool.
    fn pool2d_forward(&self, plan: &Plan, tuning: &Tuning, op: &Pool2dForward) -> Vec<Call<Slot>> {
        if self.fused.iter().any(|f| f.y == op.y) {
            return vec![];
        }
        vec![pool2d_forward(plan, tuning, op)]
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
        vec![pool2d_backward(plan, tuning, op, through)]
    }

    /// No call where the loss's has made it.
    fn dense_backward_input(
        &self,
        plan: &Plan,
        tuning: &Tuning,
        op: &DenseBackwardInput,
    ) -> Vec<Call<Slot>> {
        if self.dense_behind.as_ref().is_some_and(|d| d.dx == op.dx) {
            return vec![];
        }
        vec![dense_backward_input(plan, tuning, op)]
    }

    fn dense_backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        op: &DenseBackwardWeight,
    ) -> Vec<Call<Slot>> {
        let sizes = dense(plan.batch, op.inputs, op.outputs);
        self.backward_weight(plan, tuning, sizes, [op.x, op.dy, op.dw], op.dbias)
    }

    fn backward_weight(
        &mut self,
        plan: &Plan,
        tuning: &Tuning,
        (batch, shape): (usize, ConvShape),
        [x, dy, dw]: [BufferId; 3],
        dbias: Option<BufferId>,
    ) -> Vec<Call<Slot>> {
        let pool = self.pool_behind(dy).copied();
        let mut gradient = WeightGradient {
            batch,
            window: shape.window,
            ic: shape.ic,
            oc: shape.oc,
            bias: dbias.is_some(),
            dy: (shape.window.oh, shape.window.ow),
            pool: None,
        };
        if let Some(FusedPool { live, .. }) = pool {
            (gradient.window.oh, gradient.window.ow) = live;
        }
        let absorbed = pool.filter(|f| f.absorbed);
        if let Some(FusedPool { live, size, .. }) = absorbed {
            gradient.dy = (live.0 / size.0, live.1 / size.1);
            gradient.pool = Some(size);
        }
        let is_tiled = !tuning.naive && shape.is_plain();
        let tile = is_tiled.then(|| gradient.tile(tuning)).flatten();
        let Some(tile) = tile else {
            return naive_backward_weight((batch, shape), [x, dy, dw], dbias);
        };
        let weights = plan.buffer(dw).len().next_multiple_of(BLOCK);
        let biases = match dbias {
            Some(_) => shape.oc.next_multiple_of(BLOCK),
            None => 0,
        };
        let stride = weights + biases;
        let first = self.partials;
        self.partials += stride * tile.splits;
        self.sum_later(plan, dw, (first, stride), tile.splits);
        if let Some(dbias) = dbias {
            self.sum_later(plan, dbias, (first + weights, stride), tile.splits);
        }
        let (dy, pooled) = match absorbed {
            Some(f) => (
                f.gradients.map_or(dy, |(dy, _)| dy),
                Some([f.argmax.unwrap_or(dy), f.y].map(Slot::Buffer)),
            ),
            None => (dy, None),
        };
        let [x, dy] = [x, dy].map(Slot::Buffer);
        let activation = absorbed.and_then(|f| f.through).unwrap_or_default();
        let buffers = [x, dy, Slot::Partials(first)];
        let call = gradient.call(&tile, tuning, (stride, weights), buffers, pooled);
        vec![call.activation(activation)]
    }

    /// The fused pool whose backward pass makes `dy`.
    fn pool_behind(&self, dy: BufferId) -> Option<&FusedPool> {
        let behind = |f: &&FusedPool| f.gradients.is_some_and(|(_, gradient)| gradient == dy);
        self.fused.iter().find(behind)
    }

    /// Notes that a gradient is the sum of partials.
    fn sum_later(
        &mut self,
        plan: &Plan,
        gradient: BufferId,
        (first, stride): (usize, usize),
        splits: usize,
    ) {
        let crate::plan::Role::Gradient(i) = plan.buffer(gradient).role else {
            return;
        };
        let parameter = &plan.layout.parameters[i];
        for block in 0..parameter.len().div_ceil(BLOCK) {
            self.blocks.push(Block {
                to: ((parameter.offset + block * BLOCK) / 4) as u32,
                first: ((first + block * BLOCK) / 4) as u32,
                stride: (stride / 4) as u32,
                splits: splits as u32,
            });
        }
    }
}
