//! Row-wise operations, and how rows are assigned to tasks.
//!
//! The batch is divided into groups of rows, one task each. A task processes its group in small
//! blocks, each of which passes through all operations. A task writes only memory of its own: its
//! rows of the buffers, and its sums for the gradients of small kernels and for the metrics. At the
//! end the sums are added in the order of the groups.

mod group;

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::loss::Sum;
use super::weights::WeightGradient;
use super::{conv2d, dense, scratch};
use crate::exec::host::Memory;
use crate::plan::{
    ActivationBackward, ActivationForward, BatchNormBackwardInput, BatchNormForward, BufferId,
    Conv2dBackwardInput, Conv2dForward, DenseBackwardInput, DenseForward, Dropout, Gather, LossOp,
    Op, Pool2dBackward, Pool2dForward, Rescale, SoftmaxBackward, SoftmaxForward,
};

/// Number of groups if each has sums of its own. More groups occupy more cores but leave more sums
/// to add.
const GROUPS: usize = 16;

/// Rows per block: enough to use a kernel several times while it is in cache, few enough that their
/// tensors are in cache too.
const BLOCK: usize = 4;

/// Memory reused from step to step.
#[derive(Default)]
pub(super) struct Workspace {
    /// The packed kernel of each operation.
    packed: Vec<Vec<f32>>,
    /// Each operation's gradient sums, group by group.
    sums: Vec<Vec<f32>>,
    /// Images with padding.
    pub frames: Vec<f32>,
    /// Gradients with padded channels.
    pub vectors: Vec<f32>,
}

/// Shared by all tasks.
struct Stage<'a> {
    arch: Arch,
    ops: &'a [Op],
    packed: &'a [Vec<f32>],
    memory: &'a Memory<'a>,
}

/// Owned by one task, by buffer and by operation.
struct Group<'a> {
    /// Its rows in the batch.
    rows: Range<usize>,
    floats: Vec<Option<&'a mut [f32]>>,
    words: Vec<Option<&'a mut [u32]>>,
    sums: Vec<&'a mut [f32]>,
    loss: Sum,
}

/// The buffers of one type that tasks write, taken out of the memory.
struct Taken<T>(Vec<(BufferId, Vec<T>)>);

/// Runs the row-wise operations of `ops`.
pub(super) fn run(arch: Arch, workspace: &mut Workspace, ops: &[Op], memory: &mut Memory<'_>) {
    if ops.is_empty() {
        return;
    }
    let Workspace { packed, sums, .. } = workspace;
    pack(arch, ops, packed, memory);
    let mut floats = Taken(Vec::new());
    let mut words = Taken(Vec::new());
    for op in ops {
        let (f, w) = written_rows(op);
        floats
            .0
            .extend(f.into_iter().flatten().map(|id| (id, memory.take(id))));
        words.0.extend(w.map(|id| (id, memory.take_words(id))));
    }
    let by_samples: Vec<_> = ops.iter().map(summed).collect();
    let group = if by_samples.iter().any(Option::is_some) {
        memory.batch.div_ceil(GROUPS)
    } else {
        BLOCK
    };
    let groups = memory.batch.div_ceil(group);
    sums.resize_with(ops.len().max(sums.len()), Vec::new);
    for (sums, gradient) in sums.iter_mut().zip(&by_samples) {
        let len = gradient.map_or(0, |g| g.len_with_bias());
        scratch::resize(sums, groups * len);
    }

    let mut tasks: Vec<Group<'_>> = (0..groups)
        .map(|i| Group {
            rows: i * group..memory.batch.min((i + 1) * group),
            floats: Vec::new(),
            words: Vec::new(),
            sums: Vec::new(),
            loss: Sum::default(),
        })
        .collect();
    floats.deal(memory.batch, group, &mut tasks, |task| &mut task.floats);
    words.deal(memory.batch, group, &mut tasks, |task| &mut task.words);
    for (sums, gradient) in sums.iter_mut().zip(&by_samples) {
        let len = gradient.map_or(0, |g| g.len_with_bias());
        let mut rest = sums.as_mut_slice();
        for task in &mut tasks {
            task.sums
                .push(rest.split_off_mut(..len).unwrap_or_default());
        }
    }
    let stage = Stage {
        arch,
        ops,
        packed,
        memory,
    };
    tasks
        .par_iter_mut()
        .with_max_len(1)
        .for_each(|task| task.run(&stage));
    let losses: Vec<Sum> = tasks.iter().map(|task| task.loss).collect();
    drop(tasks);

    let loss: f64 = losses.iter().map(|l| l.loss).sum();
    memory.metrics.loss_sum += loss as f32;
    memory.metrics.correct += losses.iter().map(|l| l.correct).sum::<u32>();
    for (id, values) in floats.0 {
        memory.put(id, values);
    }
    for (id, values) in words.0 {
        memory.put_words(id, values);
    }
    for (sums, gradient) in sums.iter().zip(by_samples) {
        if let Some(gradient) = gradient {
            add_up(arch, &gradient, sums, memory);
        }
    }
}

/// The gradient of `op`, if the tasks sum it.
fn summed(op: &Op) -> Option<WeightGradient> {
    WeightGradient::of(op).filter(WeightGradient::by_samples)
}

/// The float and word buffers that `op` writes row by row.
fn written_rows(op: &Op) -> ([Option<BufferId>; 2], Option<BufferId>) {
    match *op {
        Op::Gather(Gather { x, labels }) => ([Some(x), None], Some(labels)),
        Op::Pool2dForward(Pool2dForward { y, argmax, .. }) => ([Some(y), None], argmax),
        Op::Conv2dForward(Conv2dForward { y, .. })
        | Op::DenseForward(DenseForward { y, .. })
        | Op::ActivationForward(ActivationForward { y, .. })
        | Op::SoftmaxForward(SoftmaxForward { y, .. }) => ([Some(y), None], None),
        Op::Conv2dBackwardInput(Conv2dBackwardInput { dx, .. })
        | Op::Pool2dBackward(Pool2dBackward { dx, .. })
        | Op::DenseBackwardInput(DenseBackwardInput { dx, .. })
        | Op::ActivationBackward(ActivationBackward { dx, .. })
        | Op::SoftmaxBackward(SoftmaxBackward { dx, .. }) => ([Some(dx), None], None),
        Op::Loss(LossOp {
            predictions, dx, ..
        }) => ([Some(predictions), dx], None),
        Op::Dropout(Dropout { y, .. })
        | Op::Rescale(Rescale { y, .. })
        | Op::BatchNormForward(BatchNormForward { y, .. }) => ([Some(y), None], None),
        Op::BatchNormBackwardInput(BatchNormBackwardInput { dx, .. }) => ([Some(dx), None], None),
        Op::Conv2dBackwardWeight(_)
        | Op::DenseBackwardWeight(_)
        | Op::BatchNormStatistics(_)
        | Op::BatchNormBackwardWeight(_)
        | Op::Regularize(_)
        | Op::ClipGradients(_)
        | Op::Update(_) => ([None, None], None),
    }
}

/// Packs the kernels, once for all tasks.
fn pack(arch: Arch, ops: &[Op], packed: &mut Vec<Vec<f32>>, memory: &Memory<'_>) {
    packed.resize_with(ops.len().max(packed.len()), Vec::new);
    let floats = |id| memory.floats(id);
    packed
        .par_iter_mut()
        .zip(ops)
        .for_each(|(packed, op)| match *op {
            Op::Conv2dForward(Conv2dForward { shape, .. })
            | Op::Conv2dBackwardInput(Conv2dBackwardInput { shape, .. })
                if !shape.is_plain() => {}
            Op::Conv2dForward(Conv2dForward { shape, w, bias, .. }) => {
                conv2d::pack_forward(arch, &shape, floats(w), bias.map(floats), packed);
            }
            Op::DenseForward(DenseForward {
                inputs,
                outputs,
                w,
                bias,
                ..
            }) => {
                let shape = dense::shape(inputs, outputs);
                conv2d::pack_forward(arch, &shape, floats(w), bias.map(floats), packed);
            }
            Op::Conv2dBackwardInput(Conv2dBackwardInput { shape, w, .. }) => {
                conv2d::pack_backward(arch, &shape, floats(w), packed);
            }
            Op::DenseBackwardInput(DenseBackwardInput {
                inputs, outputs, w, ..
            }) => conv2d::pack_backward(arch, &dense::shape(inputs, outputs), floats(w), packed),
            Op::Gather(_)
            | Op::Conv2dBackwardWeight(_)
            | Op::Pool2dForward(_)
            | Op::Pool2dBackward(_)
            | Op::DenseBackwardWeight(_)
            | Op::ActivationForward(_)
            | Op::ActivationBackward(_)
            | Op::SoftmaxForward(_)
            | Op::SoftmaxBackward(_)
            | Op::Loss(_)
            | Op::Dropout(_)
            | Op::Rescale(_)
            | Op::BatchNormStatistics(_)
            | Op::BatchNormForward(_)
            | Op::BatchNormBackwardWeight(_)
            | Op::BatchNormBackwardInput(_)
            | Op::Regularize(_)
            | Op::ClipGradients(_)
            | Op::Update(_) => {}
        });
}

/// Adds the groups' sums in order into the gradients' buffers.
fn add_up(arch: Arch, gradient: &WeightGradient, sums: &[f32], memory: &mut Memory<'_>) {
    const CHUNK: usize = 2048;
    let len = gradient.len_with_bias();
    let mut set = |id: BufferId, first: usize| {
        let mut total = memory.take(id);
        total
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, total)| {
                arch.dispatch(|| {
                    total.fill(0.0);
                    for sums in sums.chunks_exact(len) {
                        for (total, sum) in total.iter_mut().zip(&sums[first + i * CHUNK..]) {
                            *total += sum;
                        }
                    }
                });
            });
        memory.put(id, total);
    };
    set(gradient.dw, 0);
    if let Some(dbias) = gradient.dbias {
        set(dbias, gradient.len());
    }
}

impl<T> Taken<T> {
    /// Gives each task `group` rows of each buffer.
    fn deal<'a>(
        &'a mut self,
        batch: usize,
        group: usize,
        tasks: &mut [Group<'a>],
        slots: impl for<'b> Fn(&'b mut Group<'a>) -> &'b mut Vec<Option<&'a mut [T]>>,
    ) {
        for (id, values) in &mut self.0 {
            let row = values.len() / batch;
            for (task, rows) in tasks.iter_mut().zip(values.chunks_mut(group * row)) {
                let slots = slots(task);
                if slots.len() <= id.0 {
                    slots.resize_with(id.0 + 1, || None);
                }
                slots[id.0] = Some(rows);
            }
        }
    }
}
