//! The calls of penalties.

use super::super::call::{Call, Vector};
use super::super::slot::Slot;
use super::super::tuning::Tuning;
use super::shared::WORKGROUP_SUM;
use crate::plan::{Penalty, Plan, Regularize};

/// The calls of the penalties, one after the other, once all gradients are summed.
pub(super) fn calls(plan: &Plan, tuning: &Tuning, op: &Regularize) -> Vec<Call<Slot>> {
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
        .workgroup(tuning.summing)
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
