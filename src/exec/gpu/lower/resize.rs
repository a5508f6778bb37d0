//! The calls of resizing.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::through_operand;
use crate::plan::{Plan, ResizeBackward, ResizeForward, ResizeShape};

fn call(entry: &'static str, plan: &Plan, tuning: &Tuning, shape: &ResizeShape) -> Call<Operand> {
    let text = include_str!("../../../../shaders/resize.wgsl");
    let width = cell_width(shape.channels);
    Call::new(entry, text, tuning.untiled).cells(width).sizes(&[
        ("BATCH", plan.batch),
        ("C", shape.channels / width),
        ("IH", shape.from[0]),
        ("IW", shape.from[1]),
        ("OH", shape.to[0]),
        ("OW", shape.to[1]),
        ("TOP", shape.start[0]),
        ("LEFT", shape.start[1]),
        ("ROWS", shape.window[0]),
        ("COLUMNS", shape.window[1]),
    ])
}

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &ResizeForward) -> Call<Operand> {
    let width = cell_width(op.shape.channels);
    let cell = Vector::floats(width);
    let x = Operand::Buffer(op.x);
    call("resize_forward", plan, tuning, &op.shape)
        .through(None)
        .invocations(plan.buffer(op.y).len() / width)
        .loads(4)
        .write(Operand::Buffer(op.y))
        .load("x", x, cell, tuning.image_copies)
        .load("through", x, cell, tuning.image_copies)
}

pub(super) fn backward(plan: &Plan, tuning: &Tuning, op: &ResizeBackward) -> Call<Operand> {
    let width = cell_width(op.shape.channels);
    let cell = Vector::floats(width);
    let readers = |axis: usize| 2 * op.shape.to[axis] / op.shape.window[axis] + 4;
    call("resize_backward", plan, tuning, &op.shape)
        .through(op.through)
        .invocations(plan.buffer(op.dx).len() / width)
        .loads(readers(0).min(op.shape.to[0]) * readers(1).min(op.shape.to[1]))
        .write(Operand::Buffer(op.dx))
        .load("x", Operand::Buffer(op.dy), cell, tuning.image_copies)
        .load(
            "through",
            through_operand(op.through, op.dy),
            cell,
            tuning.image_copies,
        )
}
