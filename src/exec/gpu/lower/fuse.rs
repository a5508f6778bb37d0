//! Finds operations of a step that run in the calls of their neighbours.

use std::collections::HashMap;

use super::super::tiled::{Unpool, cell_width};
use super::super::tuning::Tuning;
use super::adjust::{BehindContrast, contrast_width};
use super::erase;
use super::loss::FusedDenseGrad;
use super::passes::{FusedPool, backward_input, backward_weight, forward};
use super::shared::fits;
use crate::model::PoolKind;
use crate::plan::{
    AdjustBrightness, AdjustContrast, BufferId, Conv2dBackwardInput, Conv2dBackwardWeight,
    Conv2dForward, DenseBackwardInput, Erase, LossOp, Op, Operation, Plan, Pool2dBackward,
    Pool2dForward,
};
use crate::shape::Window;

/// Convolutions followed by a max pool of disjoint, unpadded windows, if nothing but that pool and
/// its backward pass reads their result.
pub(super) fn fused_pools(plan: &Plan, tuning: &Tuning) -> Vec<FusedPool> {
    let pairs = plan.ops.iter().zip(plan.ops.iter().skip(1));
    let of_pair = |(first, second): (&Op, &Op)| {
        let (conv, pool) = (first.downcast()?, second.downcast()?);
        fused_pair(plan, tuning, conv, pool)
    };
    pairs.filter_map(of_pair).collect()
}

fn fused_pair(
    plan: &Plan,
    tuning: &Tuning,
    conv: &Conv2dForward,
    pool: &Pool2dForward,
) -> Option<FusedPool> {
    let window = &pool.shape.window;
    let size = (window.kh, window.kw);
    let possible = conv.y == pool.x
        && pool.shape.kind == PoolKind::Max
        && tiles(window)
        && conv.shape.is_plain()
        && forward(plan.batch, &conv.shape, Some((size, true))).is_possible(tuning);
    if !possible {
        return None;
    }
    let is_this_pool = |op: &Op| {
        let forward = op.downcast::<Pool2dForward>();
        let backward = op.downcast::<Pool2dBackward>();
        forward.is_some_and(|other| other.y == pool.y)
            || backward.is_some_and(|other| other.argmax == pool.argmax)
    };
    let mut readers = plan.ops.iter().filter(|op| op.reads().contains(&conv.y));
    let only_this_pool = readers.all(is_this_pool);
    only_this_pool.then(|| fused_pool(plan, tuning, conv, pool))
}

fn fused_pool(
    plan: &Plan,
    tuning: &Tuning,
    conv: &Conv2dForward,
    pool: &Pool2dForward,
) -> FusedPool {
    let w = &pool.shape.window;
    let mut backward = plan.ops.iter().filter_map(Op::downcast::<Pool2dBackward>);
    let backward = backward.find(|other| pool.argmax.is_some() && other.argmax == pool.argmax);
    let mut fused = FusedPool {
        between: conv.y,
        y: pool.y,
        argmax: pool.argmax,
        size: (w.kh, w.kw),
        nonzero: (w.oh * w.kh, w.ow * w.kw),
        gradients: backward.map(|op| (op.dy, op.dx)),
        absorbed: true,
        through: backward.and_then(|op| op.through.map(|t| t.activation)),
    };
    fused.absorbed = backward.is_some_and(|backward| {
        let mut readers = plan
            .ops
            .iter()
            .filter(|op| op.reads().contains(&backward.dx));
        readers.all(|op| absorbs(plan, tuning, op, &fused)) && w.taps() <= tuning.max_absorbed_taps
    });
    fused
}

/// Whether the operation, which reads the gradient of the convolution's output, can include the
/// pool's backward pass: only tiled kernels of the convolution's gradients can.
fn absorbs(plan: &Plan, tuning: &Tuning, op: &Op, fused: &FusedPool) -> bool {
    if let Some(op) = op.downcast::<Conv2dBackwardWeight>() {
        let gradient = backward_weight(plan.batch, &op.shape, op.dbias.is_some(), Some(fused));
        return op.shape.is_plain() && gradient.tile(tuning).is_some();
    }
    let Some(Conv2dBackwardInput { shape, .. }) = op.downcast() else {
        return false;
    };
    let unpool = Unpool {
        size: fused.size,
        windows: fused.windows(),
    };
    cell_width(shape.ic) == cell_width(shape.oc)
        && backward_input(plan.batch, shape, fused.nonzero, Some(unpool))
            .is_some_and(|c| c.is_possible(tuning))
}

/// Whether windows lie side by side without gaps, overlap or padding.
pub(super) fn tiles(w: &Window) -> bool {
    (w.kh, w.kw) == (w.sh, w.sw) && (w.pad_top, w.pad_left) == (0, 0) && fits(w)
}

/// The dense layer before the loss, if it is small.
pub(super) fn fused_dense_grad(plan: &Plan, tuning: &Tuning) -> Option<FusedDenseGrad> {
    let loss_dx = plan.ops.iter().find_map(Op::downcast::<LossOp>)?.dx?;
    let mut gradients = plan
        .ops
        .iter()
        .filter_map(Op::downcast::<DenseBackwardInput>);
    let op = gradients.find(|op| op.dy == loss_dx)?;
    (op.inputs * op.outputs <= tuning.dense_with_loss).then_some(FusedDenseGrad {
        inputs: op.inputs,
        w: op.w,
        dx: op.dx,
        through: op.through,
    })
}

/// The brightness and the erasing behind each contrast, if nothing else reads what is between them.
pub(super) fn behind_contrasts(plan: &Plan) -> HashMap<BufferId, BehindContrast> {
    let behind = plan.ops.iter().enumerate().filter_map(|(i, op)| {
        let contrast = op.downcast::<AdjustContrast>()?;
        let brightness = next::<AdjustBrightness>(plan, i, contrast.y).cloned();
        let at = i + usize::from(brightness.is_some());
        let between = brightness.as_ref().map_or(contrast.y, |op| op.y);
        let erase = next::<Erase>(plan, at, between)
            .filter(|op| erase::width(op) == contrast_width(contrast.shape))
            .cloned();
        Some((contrast.y, BehindContrast { brightness, erase }))
    });
    behind.collect()
}

/// The operation behind the one at index `i`, if it is of this kind and the only one that reads `between`.
fn next<T: Operation>(plan: &Plan, i: usize, between: BufferId) -> Option<&T> {
    let op = plan.ops.get(i + 1)?;
    let readers = plan.ops.iter().filter(|op| op.reads().contains(&between));
    (op.reads().contains(&between) && readers.count() == 1).then(|| op.downcast())?
}
