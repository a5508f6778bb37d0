//! Merging values: sums and concatenations.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};

/// `y = a + b`: a layer's sum of two others, and the sum of the gradients of a value that several
/// operations read.
#[derive(Clone, Debug, PartialEq)]
pub struct AddOp {
    /// The first term, of any shape.
    pub a: BufferId,
    /// The second term, of the same shape; it may be the first one again.
    pub b: BufferId,
    /// The sum, of the same shape.
    pub y: BufferId,
}

/// `y[r] = a[r] ++ b[r]` over rows along the last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct ConcatenateForward {
    /// Cells of a row of `a` and of `b`.
    pub widths: [usize; 2],
    /// The cells in front, `[.., widths[0]]`.
    pub a: BufferId,
    /// The cells behind, `[.., widths[1]]`; it may be `a` again.
    pub b: BufferId,
    /// The output, `[.., widths[0] + widths[1]]`.
    pub y: BufferId,
}

/// `dx[r, i] = f'(x) * dy[r, first + i]` over rows along the last axis: the gradient of one input.
#[derive(Clone, Debug, PartialEq)]
pub struct ConcatenateBackward {
    /// Cells of a row of `dx` and of `dy`.
    pub widths: [usize; 2],
    /// The first cell of the input in a row of `dy`.
    pub first: usize,
    /// The gradient of the output, `[.., widths[1]]`.
    pub dy: BufferId,
    /// The gradient of the input, `[.., widths[0]]`.
    pub dx: BufferId,
    /// The activation that produced the input.
    pub through: Option<Through>,
}

impl Builder {
    /// Adds the sum of several values of one shape, from first to last.
    pub fn add(&mut self, inputs: Vec<Value>) -> Value {
        let shape = inputs.first().map(|x| x.shape.clone()).unwrap_or_default();
        let buffers: Vec<BufferId> = inputs.iter().map(|x| x.buffer).collect();
        let name = self.layer.clone();
        let y = self.merge(&buffers, &name, |b, [x0, x1], name| {
            let y = b
                .value_named(name, shape.clone(), Activation::Linear)
                .buffer;
            b.push(Op::Add(AddOp { a: x0, b: x1, y }));
            y
        });
        let value = Value {
            buffer: y,
            shape,
            activation: Activation::Linear,
            kept: y,
        };
        // The derivative of a sum is 1, so the gradient passes through without an operation.
        self.record_merge(inputs, y, |b, _, x, dy| b.activation_backward(dy, x));
        value
    }

    /// Adds the concatenation of several values along the last axis, with its `shape`.
    pub fn concatenate(&mut self, inputs: Vec<Value>, shape: Vec<usize>) -> Value {
        let buffers: Vec<BufferId> = inputs.iter().map(|x| x.buffer).collect();
        let name = self.layer.clone();
        let widths: Vec<usize> = inputs.iter().map(|x| last(&x.shape)).collect();
        let mut front = widths.first().copied().unwrap_or_default();
        let mut behind = widths.clone().into_iter().skip(1);
        let outer = shape[..shape.len().saturating_sub(1)].to_vec();
        let y = self.merge(&buffers, &name, |b, [x0, x1], name| {
            let widths = [front, behind.next().unwrap_or_default()];
            front += widths[1];
            let shape = [&outer[..], &[front]].concat();
            let y = b.value_named(name, shape, Activation::Linear).buffer;
            b.push(Op::ConcatenateForward(ConcatenateForward {
                widths,
                a: x0,
                b: x1,
                y,
            }));
            y
        });
        let whole = last(&shape);
        let value = Value {
            buffer: y,
            shape,
            activation: Activation::Linear,
            kept: y,
        };
        self.record_merge(inputs, y, move |b, number, x, dy| {
            let dx = b.gradient_of(x);
            b.push(Op::ConcatenateBackward(ConcatenateBackward {
                widths: [widths[number], whole],
                first: widths[..number].iter().sum(),
                dy,
                dx,
                through: x.through(),
            }));
            dx
        });
        value
    }

    /// Merges buffers two by two, from first to last; `two` adds the operation whose output has
    /// the name it receives. The last output is named `name`.
    pub(in crate::plan) fn merge(
        &mut self,
        buffers: &[BufferId],
        name: &str,
        mut two: impl FnMut(&mut Self, [BufferId; 2], String) -> BufferId,
    ) -> BufferId {
        let mut merged = buffers[0];
        for (i, &next) in buffers.iter().enumerate().skip(1) {
            let name = match i + 1 == buffers.len() {
                true => name.to_owned(),
                false => format!("{name} first {}", i + 1),
            };
            merged = two(self, [merged, next], name);
        }
        merged
    }
}

/// Cells of a row.
fn last(shape: &[usize]) -> usize {
    shape.last().copied().unwrap_or(1)
}

impl Operation for AddOp {
    fn name(&self) -> &'static str {
        "add"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.a, self.b]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }
}

impl Operation for ConcatenateForward {
    fn name(&self) -> &'static str {
        "concatenate_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.a, self.b]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, _plan: &Plan) -> u64 {
        0
    }

    fn rounding(&self) -> Rounding {
        Rounding::None
    }
}

impl Operation for ConcatenateBackward {
    fn name(&self) -> &'static str {
        "concatenate_backward"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.dy].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        match self.through {
            Some(_) => plan.elements(self.dx),
            None => 0,
        }
    }

    fn rounding(&self) -> Rounding {
        match self.through {
            Some(_) => Rounding::through(self.through),
            None => Rounding::None,
        }
    }
}
