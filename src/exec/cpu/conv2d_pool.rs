//! Convolutions whose output goes to a max pool of disjoint 2x2 windows alone.
//!
//! They and their pool run together: the output, the largest tensor of most networks, is never
//! stored, and cells beyond the last window are not computed. The gradients read the pool's
//! gradient and maxima in its place.

use pulp::Arch;

use super::pool_gradient::UnpoolBuffers;
use super::pooled_forward::PooledForward;
use super::rows::{RowBlock, RowWise};
use super::weights::KernelGradient;
use super::{conv2d, scratch, winograd};
use crate::exec::host::Memory;
use crate::model::{Activation, PoolKind};
use crate::plan::{
    Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, Op, Plan, Pool2dBackward,
    Pool2dForward, Through,
};

/// A convolution and its pool.
#[derive(Clone, Copy)]
pub struct PooledConv<'a> {
    /// The convolution.
    pub conv: &'a Conv2dForward,
    /// The pool.
    pub pool: &'a Pool2dForward,
}

/// The gradient of a convolution's input, from the gradient of its pool.
#[derive(Clone, Copy)]
pub struct PooledBackwardInput<'a> {
    /// The gradient, whose `dy` is not stored.
    pub op: &'a Conv2dBackwardInput,
    /// What stands for it.
    pub unpool: UnpoolBuffers,
}

impl<'a> PooledConv<'a> {
    /// The convolution and the pool at the head of `ops`, if nothing else in `plan` needs what is
    /// between them.
    pub fn find(plan: &Plan, ops: &'a [Op]) -> Option<Self> {
        let conv: &Conv2dForward = ops.first()?.downcast()?;
        let pool: &Pool2dForward = ops.get(1)?.downcast()?;
        let w = &pool.shape.window;
        let fits = conv.y == pool.x
            && conv.shape.is_plain()
            && matches!(conv.activation, Activation::Linear | Activation::Relu)
            && pool.shape.kind == PoolKind::Max
            && [w.kh, w.kw, w.sh, w.sw] == [2; 4]
            && [w.dh, w.dw] == [1; 2]
            && [w.pad_top, w.pad_left] == [0; 2]
            && 2 * w.oh <= w.ih
            && 2 * w.ow <= w.iw;
        let is_this_pool = |op: &Op| {
            let forward = op.downcast::<Pool2dForward>();
            let backward = op.downcast::<Pool2dBackward>();
            forward.is_some_and(|other| other.y == pool.y)
                || backward.is_some_and(|other| {
                    other.argmax == pool.argmax && absorbed(plan, other).is_some()
                })
        };
        let mut readers = plan.ops.iter().filter(|op| op.reads().contains(&conv.y));
        let written_once = plan.ops.iter().filter(|op| op.writes().contains(&conv.y));
        (fits && readers.all(is_this_pool) && written_once.count() == 1)
            .then_some(Self { conv, pool })
    }
}

impl RowWise for PooledConv<'_> {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        let (shape, w) = (&self.conv.shape, memory.floats(self.conv.w));
        let bias = self.conv.bias.map(|id| memory.floats(id));
        if winograd::applies(shape) {
            winograd::pack_forward(arch, shape, w, bias, packed);
        } else {
            conv2d::pack_forward(arch, shape, w, bias, packed);
        }
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, packed) = (block.arch(), block.packed());
        let window = &self.pool.shape.window;
        block.write(self.pool.y, |block, y| {
            let mut forward = |block: &RowBlock<'_, '_, '_>, argmax: Option<&mut [u32]>| {
                let forward = PooledForward {
                    shape: &self.conv.shape,
                    windows: [window.oh, window.ow],
                    relu: self.conv.activation == Activation::Relu,
                    x: block.floats(self.conv.x),
                    packed,
                    y,
                    argmax,
                };
                if winograd::applies(&self.conv.shape) {
                    winograd::forward_pooled(arch, forward);
                } else {
                    forward.run(arch);
                }
            };
            match self.pool.argmax {
                Some(id) => {
                    block.write_words(id, |block, argmax| forward(block, Some(argmax)));
                }
                None => forward(block, None),
            }
        });
    }
}

/// What stands for the gradient that `op` computes, if no operation needs that
/// gradient itself.
pub fn absorbed(plan: &Plan, op: &Pool2dBackward) -> Option<UnpoolBuffers> {
    let argmax = op.argmax?;
    let mut pools = plan.ops.iter().filter_map(Op::downcast::<Pool2dForward>);
    let pool = pools.find(|pool| pool.argmax == Some(argmax))?;
    let relu = match op.through {
        None => None,
        Some(Through { y, activation }) if y == pool.x && activation == Activation::Relu => {
            Some(pool.y)
        }
        Some(_) => return None,
    };
    let absorbs = |op: &Op| {
        let weight = op.downcast::<Conv2dBackwardWeight>();
        let input = op.downcast::<Conv2dBackwardInput>();
        weight.is_some_and(|op| op.shape.is_plain() && KernelGradient::from(op).by_samples())
            || input.is_some_and(|op| op.shape.is_plain())
    };
    let mut readers = plan.ops.iter().filter(|r| r.reads().contains(&op.dx));
    let window = &op.shape.window;
    readers.all(absorbs).then_some(UnpoolBuffers {
        dx: op.dx,
        windows: [window.oh, window.ow],
        dy: op.dy,
        argmax,
        relu,
    })
}

impl RowWise for PooledBackwardInput<'_> {
    fn pack(&self, arch: Arch, memory: &Memory<'_>, packed: &mut Vec<f32>) {
        let (shape, w) = (&self.op.shape, memory.floats(self.op.w));
        if winograd::applies(shape) {
            winograd::pack_backward(arch, shape, w, packed);
        } else {
            conv2d::pack_backward(arch, shape, w, packed);
        }
    }

    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, packed, shape) = (block.arch(), block.packed(), &self.op.shape);
        block.write(self.op.dx, |block, dx| {
            let gradient = block.pool_gradient(&self.unpool);
            if winograd::applies(shape) {
                winograd::backward_input(arch, shape, gradient.into(), packed, dx);
            } else {
                scratch::with(gradient.unpooled_len(shape), |dy| {
                    gradient.unpool(arch, shape, dy);
                    conv2d::backward_input(arch, shape, dy, packed, dx);
                });
            }
            block.through(self.op.through, dx);
        });
    }
}
