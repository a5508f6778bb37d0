//! The calls of dropout, rescaling, batch normalization and penalties.

use super::super::call::{Call, Vector};
use super::super::tile::cell_width;
use super::super::tuning::Tuning;
use super::super::slot::Slot;
use super::calls::through_slot;
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward,
    BatchNormStatistics, BufferId, Dropout, Penalty, Plan, Regularize, Rescale, Through,
};

pub(super) fn statistics(plan: &Plan, tuning: &Tuning, op: &BatchNormStatistics) -> Call<Slot> {
    let text = include_str!("../../../../shaders/batch_norm_statistics.wgsl");
    let write = [op.mean, op.variance, op.moving[0], op.moving[1]];
    sums(
        "batch_norm_statistics",
        text,
        (plan, &op.norm, op.x),
        &write,
    )
    .numbers(&[
        ("MOMENTUM", op.momentum as f32),
        ("ONE_MINUS_MOMENTUM", (1.0 - op.momentum) as f32),
    ])
    .load("x", Slot::Buffer(op.x), Vector::floats(1), tuning.image_copies)
}

pub(super) fn batch_norm_forward(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormForward,
) -> Call<Slot> {
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
    let call = sums(entry, text, (plan, &op.norm, op.x), &write);
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

/// The calls of the penalties, one after the other, once all gradients are summed.
pub(super) fn regularize(plan: &Plan, tuning: &Tuning, op: &Regularize) -> Vec<Call<Slot>> {
    let calls = op.penalties.iter().map(|p| penalize(plan, tuning, p));
    calls.collect()
}

fn penalize(plan: &Plan, tuning: &Tuning, penalty: &Penalty) -> Call<Slot> {
    let Penalty {
        w,
        gradient,
        regularizer,
    } = *penalty;
    let text = include_str!("../../../../shaders/regularize.wgsl");
    Call::new("regularize", format!("{WORKGROUP_SUM}\n{text}"))
        .workgroup(SUMMING)
        .sizes(&[
            ("LEN", plan.buffer(w).len()),
            ("HAS_GRADIENT", usize::from(gradient.is_some())),
        ])
        .numbers(&[("L1", regularizer.l1 as f32), ("L2", regularizer.l2 as f32)])
        .invocations(1)
        .write(Slot::Metrics)
        .write(gradient.map_or(Slot::Nothing, Slot::Buffer))
        .load("w", Slot::Buffer(w), Vector::floats(1), tuning.image_copies)
}

/// Binds buffers to be read, `width` floats at a time.
fn load(call: Call<Slot>, tuning: &Tuning, width: usize, read: &[(&str, BufferId)]) -> Call<Slot> {
    read.iter().fold(call, |call, &(name, id)| {
        call.load(name, Slot::Buffer(id), Vector::floats(width), tuning.image_copies)
    })
}

pub(super) fn dropout(plan: &Plan, tuning: &Tuning, op: &Dropout) -> Call<Slot> {
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/dropout.wgsl")
    );
    let mask = &op.mask;
    cells("dropout", text, plan, tuning, [op.x, op.y], op.through)
        .sizes(&[
            ("WIDTH", cell_width(plan.buffer(op.y).len())),
            ("SIZE", mask.size),
            ("DRAWS", mask.width),
            ("NUMBER", mask.number as usize),
            ("THRESHOLD", mask.threshold() as usize),
        ])
        .numbers(&[("SCALE", mask.scale() as f32)])
}

pub(super) fn rescale(plan: &Plan, tuning: &Tuning, op: &Rescale) -> Call<Slot> {
    let text = include_str!("../../../../shaders/rescale.wgsl");
    cells("rescale", text, plan, tuning, [op.x, op.y], op.through)
        .numbers(&[("SCALE", op.scale), ("OFFSET", op.offset)])
}

/// A call that makes `y` out of `x`, cell by cell, and goes on through an activation.
fn cells(
    entry: &'static str,
    text: &str,
    plan: &Plan,
    tuning: &Tuning,
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Slot> {
    let len = plan.buffer(y).len();
    let width = cell_width(len);
    Call::new(entry, text)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .through(through)
        .invocations(len / width)
        .write(Slot::Buffer(y))
        .load("x", Slot::Buffer(x), Vector::floats(width), tuning.image_copies)
        .load(
            "through",
            through_slot(through, x),
            Vector::floats(width),
            tuning.image_copies,
        )
}

/// What kernels share in which invocations sum together.
pub(super) const WORKGROUP_SUM: &str = include_str!("../../../../shaders/workgroup_sum.wgsl");
/// Invocations that sum one channel.
const SUMMING: usize = 64;

/// A call with a workgroup for each channel.
fn sums(
    entry: &'static str,
    text: &str,
    (plan, norm, x): (&Plan, &BatchNorm, BufferId),
    write: &[BufferId],
) -> Call<Slot> {
    let call = Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"))
        .workgroup(SUMMING)
        .sizes(&[
            ("C", norm.c),
            ("CELLS", plan.buffer(x).len() / plan.batch / norm.c),
        ])
        .numbers(&[("EPSILON", norm.epsilon as f32)])
        .invocations(norm.c * SUMMING);
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
