//! The call of erasing.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::drawing;
use crate::plan::{Erase, Plan, RowDraws};

/// What `shaders/erasing.wgsl` needs before it, and it.
pub(super) const ERASING: &str = concat!(
    include_str!("../../../../shaders/circle.wgsl"),
    include_str!("../../../../shaders/normal.wgsl"),
    include_str!("../../../../shaders/side.wgsl"),
    include_str!("../../../../shaders/erasing.wgsl")
);

/// In place of [`ERASING`].
pub(super) const NOT_ERASING: &str = "
fn erased_area(row: u32) -> bool { return false; }
fn erased(x: Cell, row: u32, cell: u32, area: bool) -> Cell { return x; }
";

/// Floats of a Cell, which lies in one row of pixels.
pub(super) fn width(op: &Erase) -> usize {
    let [_, w, c] = op.shape;
    cell_width(w * c)
}

/// The constants of `shaders/erasing.wgsl`.
pub(super) fn erased(call: Call<Operand>, op: &Erase) -> Call<Operand> {
    let [h, w, c] = op.shape;
    let [probability, probability_extent] = op.areas.probability_bounds();
    let [scale, scale_extent] = op.areas.scale_bounds();
    let [low, high] = op.areas.range;
    call.sizes(&[
        ("WIDTH", width(op)),
        ("FLOATS", h * w * c),
        ("LINE", w * c),
        ("C", c),
        ("ERASE_NUMBER", op.draws.number as usize),
        ("PROBABILITY", probability as usize),
        ("PROBABILITY_EXTENT", probability_extent as usize),
        ("SCALE", scale as usize),
        ("SCALE_EXTENT", scale_extent as usize),
        ("IS_NOISE", usize::from(op.areas.fill_value.is_none())),
        ("NOISE", op.noise.number as usize),
    ])
    .numbers(&[
        ("FILL", op.areas.fill_value.unwrap_or_default() as f32),
        ("FILL_LOW", low as f32),
        ("FILL_HIGH", high as f32),
    ])
}

pub(super) fn call(plan: &Plan, tuning: &Tuning, op: &Erase) -> Call<Operand> {
    let text = [
        include_str!("../../../../shaders/rng.wgsl"),
        ERASING,
        include_str!("../../../../shaders/erase.wgsl"),
    ];
    let width = width(op);
    let runs = (op.shape.iter().product::<usize>() / width).div_ceil(tuning.row_cells);
    let call = Call::new("erase", drawing(&text.concat(), width), tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("RUNS", runs),
            ("DRAWS", RowDraws::PER_ROW),
        ])
        .invocations(plan.batch * runs)
        .loads(tuning.row_cells)
        .write(Operand::Buffer(op.y))
        .load("x", Operand::Buffer(op.x), Vector::floats(width), false);
    erased(call, op)
}
