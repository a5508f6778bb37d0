//! The call of rescaling.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::shared::cells;
use crate::plan::{Plan, Rescale};

pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &Rescale) -> Call<Operand> {
    let text = include_str!("../../../../shaders/rescale.wgsl");
    cells("rescale", text, plan, tuning, [op.x, op.y], op.through)
        .numbers(&[("SCALE", op.scale), ("OFFSET", op.offset)])
}
