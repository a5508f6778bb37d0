//! Dropout.

use super::{Op, Operation, Rounding, Through};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};
use crate::rng::Key;

/// Which cells a dropout keeps. Each sample has `width` draws, used in turn for its `size` cells.
/// Cell `i` of the batch is kept if
/// `key.bits_of(i / size * width + i % width, number) >= rate * 2^32`, under the step's key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutMask {
    /// The fraction to drop, in `[0, 1)`.
    pub rate: f64,
    /// The number of its series of draws, so that no two layers of a plan share draws.
    pub number: u32,
    /// Cells per sample.
    pub size: usize,
    /// Draws per sample: `size`, or one per channel.
    pub width: usize,
}

impl DropoutMask {
    /// Cells with a smaller draw are dropped.
    pub fn threshold(&self) -> u32 {
        (self.rate * f64::from(1 << 16) * f64::from(1 << 16)) as u32
    }

    /// The factor for cells that are kept.
    pub fn scale(&self) -> f64 {
        1.0 / (1.0 - self.rate)
    }

    /// Whether cell `i` of the batch is kept.
    pub fn keeps(&self, key: Key, i: usize) -> bool {
        let draw = i / self.size * self.width + i % self.width;
        key.bits_of(draw as u32, self.number) >= self.threshold()
    }
}

/// `y = x / (1 - rate)` where the mask keeps the cell, else 0. The backward pass does the same to
/// the gradient, with the same draws: `dx = f'(through) * dropout(dy)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// Which cells are kept.
    pub mask: DropoutMask,
    /// The input, or the gradient of the output.
    pub x: BufferId,
    /// The output, or the gradient of the input.
    pub y: BufferId,
    /// In the backward pass, the activation that produced the input.
    pub through: Option<Through>,
}

impl Builder {
    /// Adds a dropout with `width` draws per sample; returns `x` unchanged in inference.
    pub fn dropout(&mut self, x: Value, rate: f64, width: usize) -> Value {
        if self.optimizer.is_none() || rate == 0.0 {
            return x;
        }
        let mask = DropoutMask {
            rate,
            number: self.row_draws().number,
            size: x.shape.iter().product(),
            width,
        };
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::Dropout(Dropout {
            mask,
            x: x.buffer,
            y: y.buffer,
            through: None,
        }));
        self.record(x, y.buffer, false, move |b, x, dy, _| {
            let dx = b.gradient_of(x);
            b.push(Op::Dropout(Dropout {
                mask,
                x: dy,
                y: dx,
                through: x.through(),
            }));
            dx
        });
        y
    }
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.x].into_iter().chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y)
    }

    fn rounding(&self) -> Rounding {
        Rounding::through(self.through)
    }
}
