//! Pools.

use super::{Op, Operation, Rounding, Through};
use crate::model::{Activation, PoolKind};
use crate::plan::{BufferId, Builder, Element, Plan, Role, Value};
use crate::shape::Window;

/// The sizes of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolShape {
    /// The cells that the pool reads.
    pub window: Window,
    /// Channels.
    pub c: usize,
    /// Maximum, average or sum.
    pub kind: PoolKind,
}

/// `y = pool(x)`; a max pool in training also writes `argmax`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2dForward {
    /// The sizes.
    pub shape: PoolShape,
    /// The input, `[n, ih, iw, c]`.
    pub x: BufferId,
    /// The output, `[n, oh, ow, c]`.
    pub y: BufferId,
    /// `ky * kw + kx` of the maximum, `[n, oh, ow, c]`.
    pub argmax: Option<BufferId>,
}

/// `dx[n, iy, ix, c] = f'(x) * Σ dy[n, oy, ox, c] * share` over all windows that hold `(iy, ix)`:
/// the share is 1 for a sum, `1 / real cells` for an average, and for a max 1 where `argmax` names
/// this cell, else 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool2dBackward {
    /// The sizes.
    pub shape: PoolShape,
    /// The gradient of the output, `[n, oh, ow, c]`.
    pub dy: BufferId,
    /// The maxima that the forward pass recorded, for a max pool.
    pub argmax: Option<BufferId>,
    /// The gradient of the input, `[n, ih, iw, c]`.
    pub dx: BufferId,
    /// The activation that produced the input.
    pub through: Option<Through>,
}

impl Builder {
    /// Adds max, average or sum pooling.
    pub fn pool2d(&mut self, x: Value, window: Window, kind: PoolKind) -> Value {
        let c = x.shape.last().copied().unwrap_or(0);
        let shape = PoolShape { window, c, kind };
        let y = self.value(vec![window.oh, window.ow, c], Activation::Linear);
        let training = self.optimizer.is_some();
        let argmax = (kind == PoolKind::Max && training).then(|| {
            let shape = self.plan.buffer(y.buffer).shape.clone();
            let name = format!("{} argmax", self.layer);
            self.buffer(name, shape, Element::U32, Role::Intermediate)
        });
        self.push(Op::Pool2dForward(Pool2dForward {
            shape,
            x: x.buffer,
            y: y.buffer,
            argmax,
        }));
        self.record(x, y.buffer, false, move |b, x, dy, _| {
            let dx = b.gradient_of(x);
            b.push(Op::Pool2dBackward(Pool2dBackward {
                shape,
                dy,
                argmax,
                dx,
                through: x.through(),
            }));
            dx
        });
        y
    }
}

impl Operation for Pool2dForward {
    fn name(&self) -> &'static str {
        "pool2d_forward"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        [self.y].into_iter().chain(self.argmax).collect()
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y) * self.shape.window.taps() as u64
    }

    fn rounding(&self) -> Rounding {
        match self.shape.kind {
            PoolKind::Max => Rounding::None,
            PoolKind::Average | PoolKind::Sum => Rounding::Few,
        }
    }
}

impl Operation for Pool2dBackward {
    fn name(&self) -> &'static str {
        "pool2d_backward"
    }

    fn reads(&self) -> Vec<BufferId> {
        let y = self.through.map(|t| t.y);
        [self.dy].into_iter().chain(self.argmax).chain(y).collect()
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.dx]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.dy) * self.shape.window.taps() as u64
    }

    fn rounding(&self) -> Rounding {
        Rounding::through(self.through)
    }
}
