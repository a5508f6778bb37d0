//! The call of dropout.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::cells;
use crate::plan::{Dropout, Plan};

pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &Dropout) -> Call<Operand> {
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
