//! A task: each operation on a block of its rows.

use std::ops::Range;

use super::super::batch_norm::Channels;
use super::super::{
    activation, conv2d, conv2d_grouped, dense, dropout, gather, loss, pool2d, softmax,
};
use super::{BLOCK, Group, Stage, summed};
use crate::plan::{
    ActivationBackward, ActivationForward, BatchNormBackwardInput, BatchNormForward, BufferId,
    Conv2dBackwardInput, Conv2dForward, DenseBackwardInput, DenseForward, Dropout, Gather, LossOp,
    Op, Pool2dBackward, Pool2dForward, Rescale, SoftmaxBackward, SoftmaxForward, Through,
};

impl Group<'_> {
    /// Runs all operations on its rows, block by block.
    pub(super) fn run(&mut self, stage: &Stage<'_>) {
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

    /// Calls `f` with the rows `block` of a float buffer for writing, while others can be read.
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

    /// Like [`Group::write`], for a buffer of words.
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

    /// Multiplies `dx` by the derivative of the activation that it passes through.
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
            Op::Gather(Gather { x, labels }) => self.gather(stage, x, labels, block),
            Op::Conv2dForward(Conv2dForward {
                shape,
                x,
                w,
                bias,
                y,
                activation,
            }) if !shape.is_plain() => {
                let all = |id| stage.memory.floats(id);
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    let kernel = (all(w), bias.map(all));
                    arch.dispatch(|| conv2d_grouped::forward(&shape, x, kernel, activation, y));
                });
            }
            Op::Conv2dBackwardInput(Conv2dBackwardInput {
                shape,
                dy,
                w,
                dx,
                through,
            }) if !shape.is_plain() => {
                let w = stage.memory.floats(w);
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    arch.dispatch(|| conv2d_grouped::backward_input(&shape, dy, w, dx));
                    own.through(stage, through, block, dx);
                });
            }
            Op::Conv2dForward(Conv2dForward {
                shape,
                x,
                y,
                activation,
                ..
            }) => {
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    conv2d::forward(arch, &shape, x, packed, activation, y);
                });
            }
            Op::DenseForward(DenseForward {
                inputs,
                outputs,
                x,
                y,
                activation,
                ..
            }) => {
                let shape = dense::shape(inputs, outputs);
                self.write(y, block, |own, y| {
                    let x = own.floats(stage, x, block);
                    conv2d::forward(arch, &shape, x, packed, activation, y);
                });
            }
            Op::Conv2dBackwardInput(Conv2dBackwardInput {
                shape,
                dy,
                dx,
                through,
                ..
            }) => {
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    conv2d::backward_input(arch, &shape, dy, packed, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::DenseBackwardInput(DenseBackwardInput {
                inputs,
                outputs,
                dy,
                dx,
                through,
                ..
            }) => {
                let shape = dense::shape(inputs, outputs);
                self.write(dx, block, |own, dx| {
                    let dy = own.floats(stage, dy, block);
                    conv2d::backward_input(arch, &shape, dy, packed, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::Conv2dBackwardWeight(_) | Op::DenseBackwardWeight(_) => {
                self.add_gradient(stage, number, op, block);
            }
            Op::Pool2dForward(Pool2dForward {
                shape,
                x,
                y,
                argmax,
            }) => {
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
            Op::Pool2dBackward(Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through,
            }) => {
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
            Op::ActivationForward(ActivationForward { activation, x, y }) => {
                self.write(y, block, |own, y| {
                    activation::forward(arch, activation, own.floats(stage, x, block), y);
                });
            }
            Op::ActivationBackward(ActivationBackward { through, dy, dx }) => {
                self.write(dx, block, |own, dx| {
                    dx.copy_from_slice(own.floats(stage, dy, block));
                    own.through(stage, Some(through), block, dx);
                });
            }
            Op::SoftmaxForward(SoftmaxForward { width, x, y }) => {
                self.write(y, block, |own, y| {
                    softmax::forward(width, own.floats(stage, x, block), y);
                });
            }
            Op::SoftmaxBackward(SoftmaxBackward {
                width,
                dy,
                y,
                dx,
                through,
            }) => {
                self.write(dx, block, |own, dx| {
                    let (dy, y) = (own.floats(stage, dy, block), own.floats(stage, y, block));
                    softmax::backward(width, dy, y, dx);
                    own.through(stage, through, block, dx);
                });
            }
            Op::Loss(LossOp {
                loss,
                width,
                x,
                labels,
                predictions,
                dx,
                ref class_weights,
            }) => {
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
            Op::Dropout(Dropout {
                mask,
                x,
                y,
                through,
            }) => {
                let draws = (stage.memory.key, block.start);
                self.write(y, block, |own, y| {
                    dropout::apply(arch, &mask, draws, own.floats(stage, x, block), y);
                    own.through(stage, through, block, y);
                });
            }
            Op::Rescale(Rescale {
                scale,
                offset,
                x,
                y,
                through,
            }) => {
                self.write(y, block, |own, y| {
                    for (x, y) in own.floats(stage, x, block).iter().zip(&mut *y) {
                        *y = scale * x + offset;
                    }
                    own.through(stage, through, block, y);
                });
            }
            Op::BatchNormForward(_) | Op::BatchNormBackwardInput(_) => {
                self.batch_norm(stage, op, block);
            }
            // Not operations on rows; they stand between the stretches of those that are.
            Op::BatchNormStatistics(_)
            | Op::BatchNormBackwardWeight(_)
            | Op::Regularize(_)
            | Op::ClipGradients(_)
            | Op::Update(_) => {}
        }
    }

    fn batch_norm(&mut self, stage: &Stage<'_>, op: &Op, block: &Range<usize>) {
        let all = |id: BufferId| stage.memory.floats(id);
        match *op {
            Op::BatchNormForward(BatchNormForward {
                norm,
                x,
                mean,
                variance,
                gamma,
                beta,
                y,
            }) => {
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
            Op::BatchNormBackwardInput(BatchNormBackwardInput {
                norm,
                x,
                dy,
                mean,
                variance,
                gamma,
                dgamma,
                dbeta,
                dx,
            }) => {
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

/// The range of the rows `block` in an array of `len` elements that holds `rows`.
fn part(len: usize, rows: &Range<usize>, block: &Range<usize>) -> Range<usize> {
    let row = len / rows.len();
    (block.start - rows.start) * row..(block.end - rows.start) * row
}
