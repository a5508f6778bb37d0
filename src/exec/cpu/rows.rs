//! Operations that work on each row of the batch by itself, and how rows are dealt out.
//!
//! The batch is cut into groups of rows, one task each. A task goes through its group in blocks of
//! few rows, and takes each block through all operations. Everything that a task writes is its own:
//! its rows of the buffers, and its own sums for the gradients of small kernels and for the metrics.
//! Afterwards the sums are added in the order of the groups.

use std::ops::Range;

use pulp::Arch;
use rayon::prelude::*;

use super::batch_norm::Channels;
use super::loss::Sum;
use super::weights::WeightGradient;
use super::{
    activation, conv2d, conv2d_grouped, dense, dropout, gather, loss, pool2d, scratch, softmax,
};
use crate::exec::host::Memory;
use crate::plan::{BufferId, Op, Through};

/// Groups of a batch where each has sums of its own. More groups occupy more cores, and make more
/// sums to add.
const GROUPS: usize = 16;

/// Rows that go through all operations together: enough to use a kernel several times while it is
/// in cache, few enough that their tensors are too.
const BLOCK: usize = 4;

/// Memory kept from step to step.
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

/// What all tasks share.
struct Stage<'a> {
    arch: Arch,
    ops: &'a [Op],
    packed: &'a [Vec<f32>],
    memory: &'a Memory<'a>,
}

/// What one task owns, by buffer and by operation.
struct Group<'a> {
    /// Its rows in the batch.
    rows: Range<usize>,
    floats: Vec<Option<&'a mut [f32]>>,
    words: Vec<Option<&'a mut [u32]>>,
    sums: Vec<&'a mut [f32]>,
    loss: Sum,
}

/// The buffers of a type that tasks write, taken out of the memory.
struct Taken<T>(Vec<(BufferId, Vec<T>)>);

/// Runs the operations of `ops` that work by rows.
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

/// The gradient of `op` if it is summed by the tasks.
fn summed(op: &Op) -> Option<WeightGradient> {
    WeightGradient::of(op).filter(WeightGradient::by_samples)
}

/// The float and word buffers that `op` writes row by row.
fn written_rows(op: &Op) -> ([Option<BufferId>; 2], Option<BufferId>) {
    match *op {
        Op::Gather { x, labels } => ([Some(x), None], Some(labels)),
        Op::Pool2dForward { y, argmax, .. } => ([Some(y), None], argmax),
        Op::Conv2dForward { y, .. }
        | Op::DenseForward { y, .. }
        | Op::ActivationForward { y, .. }
        | Op::SoftmaxForward { y, .. } => ([Some(y), None], None),
        Op::Conv2dBackwardInput { dx, .. }
        | Op::Pool2dBackward { dx, .. }
        | Op::DenseBackwardInput { dx, .. }
        | Op::ActivationBackward { dx, .. }
        | Op::SoftmaxBackward { dx, .. } => ([Some(dx), None], None),
        Op::Loss {
            predictions, dx, ..
        } => ([Some(predictions), dx], None),
        Op::Dropout { y, .. } | Op::Rescale { y, .. } | Op::BatchNormForward { y, .. } => {
            ([Some(y), None], None)
        }
        Op::BatchNormBackwardInput { dx, .. } => ([Some(dx), None], None),
        Op::Conv2dBackwardWeight { .. }
        | Op::DenseBackwardWeight { .. }
        | Op::BatchNormStatistics { .. }
        | Op::BatchNormBackwardWeight { .. }
        | Op::Regularize { .. }
        | Op::ClipGradients { .. }
        | Op::Update { .. } => ([None, None], None),
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
            Op::Conv2dForward { shape, .. } | Op::Conv2dBackwardInput { shape, .. }
                if !shape.is_plain() => {}
            Op::Conv2dForward { shape, w, bias, .. } => {
                conv2d::pack_forward(arch, &shape, floats(w), bias.map(floats), packed);
            }
            Op::DenseForward {
                inputs,
                outputs,
                w,
                bias,
                ..
            } => {
                let shape = dense::shape(inputs, outputs);
                conv2d::pack_forward(arch, &shape, floats(w), bias.map(floats), packed);
            }
            Op::Conv2dBackwardInput { shape, w, .. } => {
                conv2d::pack_backward(arch, &shape, floats(w), packed);
            }
            Op::DenseBackwardInput {
                inputs, outputs, w, ..
            } => conv2d::pack_backward(arch, &dense::shape(inputs, outputs), floats(w), packed),
            Op::Gather { .. }
            | Op::Conv2dBackwardWeight { .. }
            | Op::Pool2dForward { .. }
            | Op::Pool2dBackward { .. }
            | Op::DenseBackwardWeight { .. }
            | Op::ActivationForward { .. }
            | Op::ActivationBackward { .. }
            | Op::SoftmaxForward { .. }
            | Op::SoftmaxBackward { .. }
            | Op::Loss { .. }
            | Op::Dropout { .. }
            | Op::Rescale { .. }
            | Op::BatchNormStatistics { .. }
            | Op::BatchNormForward { .. }
            | Op::BatchNormBackwardWeight { .. }
            | Op::BatchNormBackwardInput { .. }
            | Op::Regularize { .. }
            | Op::ClipGradients { .. }
            | Op::Update { .. } => {}
        });
}

/// Adds the groups' sums in their order, into the gradient's buffers.
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
    /// Deals out `group` rows of each buffer to each task.
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

impl Group<'_> {
    fn run(&mut self, stage: &Stage<'_>) {
        for sums in &mut self.sums {
            sums.fill(0.0);
        }
        for first in self.rows.clone().step_by(BLOCK) {
            let block = first..self.rows.end.min(first + BLOCK);
            for (i, op) in stage.ops.iter().enumerate() {
                self.run_op(stage, i, op, &block);
            }
        }
    }

    /// The rows `block` of a float buffer.
    fn floats<'b>(&'b self, stage: &'b Stage<'_>, id: BufferId, block: &Range<usize>) -> &'b [f32] {
        match self.floats.get(id.0) {
            Some(Some(own)) => &own[part(own.len(), &self.rows, block)],
            _ => {
                let all = stage.memory.floats(id);
                &all[part(all.len(), &(0..stage.memory.batch), block)]
            }
        }
    }

    /// The rows `block` of a buffer of words.
    fn words<'b>(&'b self, stage: &'b Stage<'_>, id: BufferId, block: &Range<usize>) -> &'b [u32] {
        match self.words.get(id.0) {
            Some(Some(own)) => &own[part(own.len(), &self.rows, block)],
            _ => {
                let all = stage.memory.words(id);
                &all[part(all.len(), &(0..stage.memory.batch), block)]
            }
        }
    }

    /// Calls `f` with the rows `block` of a float buffer, to be written while others are read.
    fn write<T>(
        &mut self,
        id: BufferId,
        block: &Range<usize>,
        f: impl FnOnce(&mut Self, &mut [f32]) -> T,
    ) -> Option<T> {
        let own = self.floats.get_mut(id.0)?.take()?;
        let part = part(own.len(), &self.rows, block);
        let result = f(self, &mut own[part]);
        self.floats[id.0] = Some(own);
        Some(result)
    }

    /// As [`Group::write`], for a buffer of words.
    fn write_words<T>(
        &mut self,
        id: BufferId,
        block: &Range<usize>,
        f: impl FnOnce(&mut Self, &mut [u32]) -> T,
    ) -> Option<T> {
        let own = self.words.get_mut(id.0)?.take()?;
        let part = part(own.len(), &self.rows, block);
        let result = f(self, &mut own[part]);
        self.words[id.0] = Some(own);
        Some(result)
    }

    /// Multiplies `dx` with the derivative of the activation that it goes through.
    fn through(
        &self,
        stage: &Stage<'_>,
        through: Option<Through>,
        block: &Range<usize>,
        dx: &mut [f32],
    ) {
        if let Some(Through { y, activation }) = through {
            activation::backward(stage.arch, activation, self.floats(stage, y, block), dx);
        }
    }

    fn run_op(&mut self, stage: &Stage<'_>, number: usize, op: &Op, block: &Range<usize>) {
        let arch = stage.arch;
        let packed = &stage.packed[number];
        match *op {
            Op::Gather { x, labels } => self.gather(stage, x, labels, block),
            Op::Conv2dForward {
                shape,
                x,
                w,
                bias,
                y,
                activation,
            } if !shape.is_plain() => {
                let all = |id| stage.memory.floats(id);
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    let kernel = (all(w), bias.map(all));
                    arch.dispatch(|| conv2d_grouped::forward(&shape, x, kernel, activation, y));
                });
            }
            Op::Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through,
            } if !shape.is_plain() => {
                let w = stage.memory.floats(w);
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    arch.dispatch(|| conv2d_grouped::backward_input(&shape, dy, w, dx));
                    own.through(stage, through, block, dx);
                });
            }
            Op::Conv2dForward {
                shape,
                x,
                y,
                activation,
                ..
            } => {
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    conv2d::forward(arch, &shape, x, packed, activation, y);
                });
            }
            Op::DenseForward {
                inputs,
                outputs,
                x,
                y,
                activation,
                ..
            } => {
                let shape = dense::shape(inputs, outputs);
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    conv2d::forward(arch, &shape, x, packed, activation, y);
                });
            }
            Op::Conv2dBackwardInput {
                shape,
                dy,
                dx,
                through,
                ..
            } => {
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    conv2d::backward_input(arch, &shape, dy, packed, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::DenseBackwardInput {
                inputs,
                outputs,
                dy,
                dx,
                through,
                ..
            } => {
                let shape = dense::shape(inputs, outputs);
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    conv2d::backward_input(arch, &shape, dy, packed, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::Conv2dBackwardWeight { .. } | Op::DenseBackwardWeight { .. } => {
                self.add_gradient(stage, number, op, block);
            }
            Op::Pool2dForward {
                shape,
                x,
                y,
                argmax,
            } => {
                self.write(y, block, |own, y| match argmax {
                    Some(argmax) => {
                        own.write_words(argmax, block, |own, argmax| {
                            let x = own.floats(stage, x, block);
                            arch.dispatch(pool2d::Forward {
                                shape: &shape,
                                x,
                                y,
                                argmax: Some(argmax),
                            });
                        });
                    }
                    None => arch.dispatch(pool2d::Forward {
                        shape: &shape,
                        x: own.floats(stage, x, block),
                        y,
                        argmax: None,
                    }),
                });
            }
            Op::Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through,
            } => {
                self.write(dx, block, |own, dx| {
                    let argmax = argmax.map(|id| own.words(stage, id, block));
                    let dy = own.floats(stage, dy, block);
                    arch.dispatch(pool2d::Backward {
                        shape: &shape,
                        dy,
                        argmax,
                        dx: &mut *dx,
                    });
                    own.through(stage, through, block, dx);
                });
            }
            Op::ActivationForward { activation, x, y } => {
                self.write(y, block, |own, y| {
                    activation::forward(arch, activation, own.floats(stage, x, block), y);
                });
            }
            Op::ActivationBackward { through, dy, dx } => {
                self.write(dx, block, |own, dx| {
                    dx.copy_from_slice(own.floats(stage, dy, block));
                    own.through(stage, Some(through), block, dx);
                });
            }
            Op::SoftmaxForward { width, x, y } => {
                self.write(y, block, |own, y| {
                    softmax::forward(width, own.floats(stage, x, block), y);
                });
            }
            Op::SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through,
            } => {
                self.write(dx, block, |own, dx| {
                    let (dy, y) = (own.floats(stage, dy, block), own.floats(stage, y, block));
                    softmax::backward(width, dy, y, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::Loss {
                loss,
                width,
                x,
                labels,
                predictions,
                dx,
                ref class_weights,
            } => {
                let rule = loss::Rule::new(loss, width, class_weights.as_deref());
                let rows = stage.memory.rows;
                let valid = rows.saturating_sub(block.start);
                let sum = self.write(predictions, block, |own, predictions| {
                    let x = own.floats(stage, x, block);
                    rule.predict(x, predictions);
                    rule.sum(x, predictions, own.words(stage, labels, block), valid)
                });
                self.loss.add(sum.unwrap_or_default());
                if let Some(dx) = dx {
                    self.write(dx, block, |own, dx| {
                        let predictions = own.floats(stage, predictions, block);
                        let labels = own.words(stage, labels, block);
                        rule.gradient((predictions, labels), (valid, rows), dx);
                    });
                }
            }
            Op::Dropout {
                dropout,
                x,
                y,
                through,
            } => {
                let draws = (stage.memory.key, block.start);
                self.write(y, block, |own, y| {
                    dropout::apply(arch, &dropout, draws, own.floats(stage, x, block), y);
                    own.through(stage, through, block, y);
                });
            }
            Op::Rescale {
                scale,
                offset,
                x,
                y,
                through,
            } => {
                self.write(y, block, |own, y| {
                    for (x, y) in own.floats(stage, x, block).iter().zip(&mut *y) {
                        *y = scale * x + offset;
                    }
                    own.through(stage, through, block, y);
                });
            }
            Op::BatchNormForward { .. } | Op::BatchNormBackwardInput { .. } => {
                self.batch_norm(stage, op, block);
            }
            // Not operations on rows; they stand between the stretches of those that are.
            Op::BatchNormStatistics { .. }
            | Op::BatchNormBackwardWeight { .. }
            | Op::Regularize { .. }
            | Op::ClipGradients { .. }
            | Op::Update { .. } => {}
        }
    }

    fn batch_norm(&mut self, stage: &Stage<'_>, op: &Op, block: &Range<usize>) {
        let all = |id: BufferId| stage.memory.floats(id);
        match *op {
            Op::BatchNormForward {
                norm,
                x,
                mean,
                variance,
                gamma,
                beta,
                y,
            } => {
                let channels = Channels {
                    norm,
                    mean: all(mean),
                    variance: all(variance),
                    gamma: gamma.map(all),
                };
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    channels.forward(stage.arch, x, beta.map(all), y);
                });
            }
            Op::BatchNormBackwardInput {
                norm,
                x,
                dy,
                mean,
                variance,
                gamma,
                dgamma,
                dbeta,
                dx,
            } => {
                let channels = Channels {
                    norm,
                    mean: all(mean),
                    variance: all(variance),
                    gamma: gamma.map(all),
                };
                self.write(dx, block, |own, dx| {
                    let (x, dy) = (own.floats(stage, x, block), own.floats(stage, dy, block));
                    let row = dx.len() / block.len();
                    let rows = stage.memory.rows;
                    let valid = rows.saturating_sub(block.start).min(block.len()) * row;
                    let (now, rest) = dx.split_at_mut(valid);
                    let sums = [dgamma, dbeta].map(all);
                    let cells = rows * row / norm.c;
                    let inputs = (&x[..valid], &dy[..valid]);
                    channels.backward_input(stage.arch, inputs, sums, cells, now);
                    rest.fill(0.0);
                });
            }
            _ => {}
        }
    }

    fn gather(&mut self, stage: &Stage<'_>, x: BufferId, labels: BufferId, block: &Range<usize>) {
        self.write(x, block, |own, x| {
            own.write_words(labels, block, |_, labels| {
                let size = x.len() / labels.len();
                let rows = x.chunks_exact_mut(size).zip(labels);
                for (row, (x, label)) in block.clone().zip(rows) {
                    if row < stage.memory.rows {
                        let (image, class) = stage.memory.sample(row);
                        gather::image(stage.arch, image, x);
                        *label = class.into();
                    } else {
                        x.fill(0.0);
                        *label = 0;
                    }
                }
            });
        });
    }

    fn add_gradient(&mut self, stage: &Stage<'_>, number: usize, op: &Op, block: &Range<usize>) {
        if let Some(gradient) = summed(op) {
            let sums = std::mem::take(&mut self.sums[number]);
            let x = self.floats(stage, gradient.x, block);
            let dy = self.floats(stage, gradient.dy, block);
            gradient.add(stage.arch, x, dy, sums);
            self.sums[number] = sums;
        }
    }
}

/// The elements of the rows `block`, in an array of `len` elements that holds `rows`.
fn part(len: usize, rows: &Range<usize>, block: &Range<usize>) -> Range<usize> {
    let row = len / rows.len();
    (block.start - rows.start) * row..(block.end - rows.start) * row
}
