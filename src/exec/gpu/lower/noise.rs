//! The call of normal noise.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::cells;
use crate::plan::{AddNoise, Plan};

pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &AddNoise) -> Call<Operand> {
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/circle.wgsl"),
        include_str!("../../../../shaders/normal.wgsl"),
        include_str!("../../../../shaders/add_noise.wgsl")
    );
    cells("add_noise", text, plan, tuning, [op.x, op.y], None)
        .sizes(&[
            ("WIDTH", cell_width(plan.buffer(op.y).len())),
            ("SIZE", plan.buffer(op.y).len() / plan.batch),
            ("NUMBER", op.draws.number as usize),
        ])
        .numbers(&[("STDDEV", op.stddev as f32)])
}
