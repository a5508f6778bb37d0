//! The calls of batch normalization.

use super::super::call::{Call, Vector};
use super::super::slot::Slot;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::WORKGROUP_SUM;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward,
    BatchNormStatistics, BufferId, Plan,
};

pub(super) fn statistics(plan: &Plan, tuning: &Tuning, op: &BatchNormStatistics) -> Call<Slot> {
    let text = include_str!("../../../../shaders/batch_norm_statistics.wgsl");
    let write = [op.mean, op.variance, op.moving[0], op.moving[1]];
    sums(
        "batch_norm_statistics",
        text,
        (plan, tuning, &op.norm, op.x),
        &write,
    )
    .numbers(&[
        ("MOMENTUM", op.momentum as f32),
        ("ONE_MINUS_MOMENTUM", (1.0 - op.momentum) as f32),
    ])
    .load(
        "x",
        Slot::Buffer(op.x),
        Vector::floats(1),
        tuning.image_copies,
    )
}

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &BatchNormForward) -> Call<Slot> {
    let text = include_str!("../../../../shaders/batch_norm_forward.wgsl");
    let (entry, learnt) = ("batch_norm_forward", (op.gamma, op.beta));
    let call = cell_by_cell(entry, text, (plan, &op.norm), learnt, op.y);
    let read = [
        ("x", op.x),
        ("mean", op.mean),
        ("variance", op.variance),
        ("gamma", op.gamma.unwrap_or(op.mean)),
        ("beta", op.beta.unwrap_or(op.mean)),
    ];
    load(call, tuning, cell_width(op.norm.c), &read)
}

pub(super) fn backward_weight(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormBackwardWeight,
) -> Call<Slot> {
    let text = include_str!("../../../../shaders/batch_norm_backward_weight.wgsl");
    let (entry, write) = ("batch_norm_backward_weight", [op.dgamma, op.dbeta]);
    let call = sums(entry, text, (plan, tuning, &op.norm, op.x), &write);
    let read = [
        ("x", op.x),
        ("dy", op.dy),
        ("mean", op.mean),
        ("variance", op.variance),
    ];
    load(call, tuning, 1, &read)
}

pub(super) fn backward_input(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormBackwardInput,
) -> Call<Slot> {
    let text = include_str!("../../../../shaders/batch_norm_backward_input.wgsl");
    let entry = "batch_norm_backward_input";
    let call = cell_by_cell(entry, text, (plan, &op.norm), (op.gamma, None), op.dx);
    let read = [
        ("x", op.x),
        ("dy", op.dy),
        ("mean", op.mean),
        ("variance", op.variance),
        ("gamma", op.gamma.unwrap_or(op.mean)),
        ("dgamma", op.dgamma),
        ("dbeta", op.dbeta),
    ];
    load(call, tuning, cell_width(op.norm.c), &read)
}

/// Binds buffers to be read, `width` floats at a time.
fn load(call: Call<Slot>, tuning: &Tuning, width: usize, read: &[(&str, BufferId)]) -> Call<Slot> {
    read.iter().fold(call, |call, &(name, id)| {
        call.load(
            name,
            Slot::Buffer(id),
            Vector::floats(width),
            tuning.image_copies,
        )
    })
}

/// A call with a workgroup for each channel.
fn sums(
    entry: &'static str,
    text: &str,
    (plan, tuning, norm, x): (&Plan, &Tuning, &BatchNorm, BufferId),
    write: &[BufferId],
) -> Call<Slot> {
    let call = Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"))
        .workgroup(tuning.summing)
        .sizes(&[
            ("C", norm.c),
            ("CELLS", plan.buffer(x).len() / plan.batch / norm.c),
        ])
        .numbers(&[("EPSILON", norm.epsilon as f32)])
        .invocations(norm.c * tuning.summing);
    let write = write.iter().map(|&id| Slot::Buffer(id));
    write.fold(call, Call::write)
}

/// A call that normalizes cell by cell.
fn cell_by_cell(
    entry: &'static str,
    text: &str,
    (plan, norm): (&Plan, &BatchNorm),
    (gamma, beta): (Option<BufferId>, Option<BufferId>),
    out: BufferId,
) -> Call<Slot> {
    let common = include_str!("../../../../shaders/batch_norm.wgsl");
    let len = plan.buffer(out).len();
    let width = cell_width(norm.c);
    Call::new(entry, format!("{common}\n{text}"))
        .cells(width)
        .sizes(&[
            ("LEN", len / width),
            ("C", norm.c / width),
            ("CELLS", len / plan.batch / norm.c),
            ("HAS_GAMMA", usize::from(gamma.is_some())),
            ("HAS_BETA", usize::from(beta.is_some())),
        ])
        .numbers(&[("EPSILON", norm.epsilon as f32)])
        .invocations(len / width)
        .write(Slot::Buffer(out))
}
