//! The calls of penalties.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::shared::{Split, WORKGROUP_SUM, take_partials};
use crate::plan::{Penalty, Plan, Regularize};

/// The calls of the penalties, one after the other, once all gradients are summed; allocates their
/// parts after `partials` floats of partial sums.
pub(super) fn calls(
    plan: &Plan,
    tuning: &Tuning,
    op: &Regularize,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let calls = op.penalties.iter();
    calls
        .flat_map(|penalty| penalize(plan, tuning, penalty, partials))
        .collect()
}

fn penalize(
    plan: &Plan,
    tuning: &Tuning,
    penalty: &Penalty,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let Penalty {
        w,
        gradient,
        regularizer,
    } = *penalty;
    let len = plan.buffer(w).len();
    let split = Split::new(len, tuning.max_loads * tuning.summing);
    let room = if split.is_whole() {
        Operand::Nothing
    } else {
        take_partials(partials, split.parts)
    };
    let text = include_str!("../../../../shaders/regularize.wgsl");
    let call = |entry, groups, terms: usize| {
        Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"), tuning.summing)
            .sizes(&[
                ("LEN", len),
                ("PARTS", split.parts),
                ("PART_LEN", split.each),
                ("HAS_GRADIENT", usize::from(gradient.is_some())),
            ])
            .numbers(&[("L1", regularizer.l1 as f32), ("L2", regularizer.l2 as f32)])
            .invocations(groups * tuning.summing)
            .loads(terms.div_ceil(tuning.summing))
            .write(Operand::Metrics)
            .write(gradient.map_or(Operand::Nothing, Operand::Buffer))
            .write(room)
            .load(
                "w",
                Operand::Buffer(w),
                Vector::floats(1),
                tuning.image_copies,
            )
    };
    let mut calls = vec![call("regularize", split.parts, split.each)];
    if !split.is_whole() {
        calls.push(call("regularize_finish", 1, split.parts));
    }
    calls
}
