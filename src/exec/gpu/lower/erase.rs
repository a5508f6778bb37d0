//! The call of erasing.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::drawing;
use crate::plan::{Erase, Plan, RowDraws};

/// Cells of an image that an invocation computes: it would have to draw for each of them otherwise.
const RUN: usize = 4;

/// A Cell lies in one row of one image.
pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &Erase) -> Call<Operand> {
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/circle.wgsl"),
        include_str!("../../../../shaders/normal.wgsl"),
        include_str!("../../../../shaders/side.wgsl"),
        include_str!("../../../../shaders/erase.wgsl")
    );
    let [h, w, c] = op.shape;
    let width = cell_width(w * c);
    let text = drawing(text, width);
    let runs = (h * w * c / width).div_ceil(RUN);
    let [probability, probability_extent] = op.areas.probability_bounds();
    let [scale, scale_extent] = op.areas.scale_bounds();
    let [low, high] = op.areas.range;
    Call::new("erase", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("RUNS", runs),
            ("WIDTH", width),
            ("C", c),
            ("SIZE", h * w * c),
            ("COLUMNS", w),
            ("NUMBER", op.draws.number as usize),
            ("DRAWS", RowDraws::PER_ROW),
            ("PROBABILITY", probability as usize),
            ("PROBABILITY_EXTENT", probability_extent as usize),
            ("SCALE", scale as usize),
            ("SCALE_EXTENT", scale_extent as usize),
            ("IS_NOISE", usize::from(op.areas.fill_value.is_none())),
            ("NOISE", op.noise.number as usize),
        ])
        .numbers(&[
            ("FILL", op.areas.fill_value.unwrap_or_default() as f32),
            ("LOW", low as f32),
            ("HIGH", high as f32),
        ])
        .invocations(plan.batch * runs)
        .loads(RUN)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        )
}
