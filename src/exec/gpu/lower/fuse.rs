//! Finds operations of a step that run in the calls of their neighbours.

use super::super::tiled::{Unpool, cell_width};
use super::super::tuning::Tuning;
use super::loss::FusedDenseGrad;
use super::passes::{FusedPool, backward_input, backward_weight, forward};
use super::shared::fits;
use crate::model::PoolKind;
use crate::plan::{
    BufferId, Conv2dBackwardInput, Conv2dBackwardWeight, Conv2dForward, DenseBackwardInput, LossOp,
    Op, Plan, Pool2dBackward, Pool2dForward, PoolShape,
};
use crate::shape::Window;

/// Convolutions followed by a max pool of disjoint, unpadded windows, if nothing but that pool and
/// its backward pass reads their result.
pub(super) fn fused_pools(plan: &Plan, tuning: &Tuning) -> Vec<FusedPool> {
    let pairs = plan.ops.iter().zip(plan.ops.iter().skip(1));
    let fused = pairs.filter_map(|pair| match pair {
        (
            Op::Conv2dForward(Conv2dForward {
                y: between,
                shape: conv,
                ..
            }),
            Op::Pool2dForward(Pool2dForward {
                shape,
                x,
                y,
                argmax,
            }),
        ) if between == x && shape.kind == PoolKind::Max && tiles(&shape.window) => {
            let size = (shape.window.kh, shape.window.kw);
            if !conv.is_plain()
                || !forward(plan.batch, conv, Some((size, true))).is_possible(tuning)
            {
                return None;
            }
            let others = plan.ops.iter().filter(|op| op.reads().contains(between));
            let only_this_pool = others.clone().all(|op| match op {
                Op::Pool2dForward(Pool2dForward { y: other, .. }) => other == y,
                Op::Pool2dBackward(Pool2dBackward { argmax: other, .. }) => other == argmax,
                _ => false,
            });
            only_this_pool.then(|| fused_pool(plan, tuning, shape, [*between, *y], *argmax))
        }
        _ => None,
    });
    fused.collect()
}

pub(super) fn fused_pool(
    plan: &Plan,
    tuning: &Tuning,
    shape: &PoolShape,
    [between, y]: [BufferId; 2],
    argmax: Option<BufferId>,
) -> FusedPool {
    let w = &shape.window;
    let backward = plan.ops.iter().find_map(|op| match op {
        Op::Pool2dBackward(Pool2dBackward {
            argmax: other,
            dy,
            dx,
            through,
            ..
        }) if argmax.is_some() && *other == argmax => Some((*dy, *dx, *through)),
        _ => None,
    });
    let nonzero = (w.oh * w.kh, w.ow * w.kw);
    let unpool = Unpool {
        size: (w.kh, w.kw),
        windows: (w.oh, w.ow),
    };
    let mut fused = FusedPool {
        between,
        y,
        argmax,
        size: (w.kh, w.kw),
        nonzero,
        gradients: backward.map(|(dy, dx, _)| (dy, dx)),
        absorbed: true,
        through: backward.and_then(|(_, _, through)| through.map(|t| t.activation)),
    };
    fused.absorbed = backward.is_some_and(|(_, dx, _)| {
        let mut readers = plan.ops.iter().filter(|op| op.reads().contains(&dx));
        // Only tiled kernels can include the pool's backward pass.
        let takes_it_in = |op: &Op| match op {
            Op::Conv2dBackwardWeight(Conv2dBackwardWeight { shape, dbias, .. }) => {
                let bias = dbias.is_some();
                let gradient = backward_weight(plan.batch, shape, bias, Some(&fused));
                shape.is_plain() && gradient.tile(tuning).is_some()
            }
            Op::Conv2dBackwardInput(Conv2dBackwardInput { shape, .. }) => {
                cell_width(shape.ic) == cell_width(shape.oc)
                    && backward_input(plan.batch, shape, nonzero, Some(unpool))
                        .is_some_and(|c| c.is_possible(tuning))
            }
            _ => false,
        };
        readers.all(takes_it_in) && w.taps() <= 16
    });
    fused
}

/// Whether windows lie side by side without gaps, overlap or padding.
pub(super) fn tiles(w: &Window) -> bool {
    (w.kh, w.kw) == (w.sh, w.sw) && (w.pad_top, w.pad_left) == (0, 0) && fits(w)
}

/// The dense layer before the loss, if it is small.
pub(super) fn fused_dense_grad(plan: &Plan, tuning: &Tuning) -> Option<FusedDenseGrad> {
    let loss_dx = plan.ops.iter().find_map(|op| match op {
        Op::Loss(LossOp { dx, .. }) => *dx,
        _ => None,
    })?;
    plan.ops.iter().find_map(|op| match *op {
        Op::DenseBackwardInput(DenseBackwardInput {
            inputs,
            outputs,
            dy,
            w,
            dx,
            through,
        }) if dy == loss_dx && inputs * outputs <= tuning.dense_with_loss => Some(FusedDenseGrad {
            inputs,
            w,
            dx,
            through,
        }),
        _ => None,
    })
}
