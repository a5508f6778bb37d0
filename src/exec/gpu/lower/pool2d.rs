//! The calls of pools that are not fused.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::{fits, through_operand, window_sizes};
use crate::model::PoolKind;
use crate::plan::{Plan, Pool2dBackward, Pool2dForward, PoolShape, Through};

fn pool_call(
    entry: &'static str,
    text: &str,
    (batch, tuning): (usize, &Tuning),
    shape: &PoolShape,
) -> Call<Operand> {
    let width = cell_width(shape.c);
    let kind = match shape.kind {
        PoolKind::Max => 0,
        PoolKind::Average => 1,
        PoolKind::Sum => 2,
    };
    let common = include_str!("../../../../shaders/pool2d.wgsl");
    Call::new(entry, format!("{common}\n{text}"), tuning.untiled)
        .cells(width)
        .sizes(&window_sizes(&shape.window))
        .sizes(&[("BATCH", batch), ("C", shape.c / width), ("KIND", kind)])
}

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &Pool2dForward) -> Call<Operand> {
    let text = include_str!("../../../../shaders/pool2d_forward.wgsl");
    let (shape, w) = (&op.shape, &op.shape.window);
    let width = cell_width(shape.c);
    let x = Operand::Buffer(op.x);
    pool_call("pool2d_forward", text, (plan.batch, tuning), shape)
        .sizes(&[("HAS_ARGMAX", usize::from(op.argmax.is_some()))])
        .invocations(plan.batch * w.oh * w.ow * shape.c / width)
        .loads(w.taps())
        .write(Operand::Buffer(op.y))
        .write(op.argmax.map_or(Operand::Nothing, Operand::Buffer))
        .load("x", x, Vector::floats(width), tuning.image_copies)
}

/// The backward pass of a pool; `through` is the activation whose derivative it includes, with 1 if
/// that buffer holds the pool's output instead of its input.
pub(super) fn backward(
    plan: &Plan,
    tuning: &Tuning,
    op: &Pool2dBackward,
    through: Option<(Through, usize)>,
) -> Call<Operand> {
    let text = include_str!("../../../../shaders/pool2d_backward.wgsl");
    let (shape, w) = (&op.shape, &op.shape.window);
    let (through, pooled) = through.map_or((None, 0), |(t, pooled)| (Some(t), pooled));
    let cell = Vector::floats(cell_width(shape.c));
    let taken = Operand::Buffer(op.argmax.unwrap_or(op.dy));
    let disjoint = w.kh <= w.sh && w.kw <= w.sw && (w.pad_top, w.pad_left) == (0, 0) && fits(w);
    let (bh, bw) = (w.ih.div_ceil(w.sh), w.iw.div_ceil(w.sw));
    let (entry, pixels) = if disjoint {
        ("pool2d_backward_disjoint", bh * bw)
    } else {
        ("pool2d_backward", w.ih * w.iw)
    };
    pool_call(entry, text, (plan.batch, tuning), shape)
        .through(through)
        .sizes(&[("BH", bh), ("BW", bw)])
        .sizes(&[("THROUGH_POOLED", pooled)])
        .invocations(plan.batch * pixels * shape.c / cell_width(shape.c))
        .loads(w.kh.div_ceil(w.sh) * w.kw.div_ceil(w.sw))
        .write(Operand::Buffer(op.dx))
        .load("dy", Operand::Buffer(op.dy), cell, tuning.image_copies)
        .load(
            "argmax",
            taken,
            Vector::words(cell.width),
            tuning.image_copies,
        )
        .load(
            "through",
            through_operand(through, op.dy),
            cell,
            tuning.image_copies,
        )
}
