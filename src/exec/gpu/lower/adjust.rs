//! The calls of contrast and brightness.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::{Split, WORKGROUP_SUM, drawing, take_partials};
use crate::plan::{AdjustBrightness, AdjustContrast, Plan, RowDraws};

/// The text before the kernels.
macro_rules! with_draws {
    ($file:literal) => {
        concat!(
            include_str!("../../../../shaders/rng.wgsl"),
            include_str!("../../../../shaders/adjust.wgsl"),
            include_str!(concat!("../../../../shaders/", $file))
        )
    };
}

/// The constants of the draws.
fn draws(
    call: Call<Operand>,
    draws: RowDraws,
    [lower, upper]: [f64; 2],
    [low, high]: [f64; 2],
) -> Call<Operand> {
    call.sizes(&[
        ("NUMBER", draws.number as usize),
        ("DRAWS", RowDraws::PER_ROW),
    ])
    .numbers(&[
        ("LOWER", lower as f32),
        ("EXTENT", (upper - lower) as f32),
        ("LOW", low as f32),
        ("HIGH", high as f32),
    ])
}

pub(super) fn brightness(plan: &Plan, tuning: &Tuning, op: &AdjustBrightness) -> Call<Operand> {
    let size = plan.buffer(op.y).len() / plan.batch;
    let width = cell_width(size);
    let text = drawing(with_draws!("adjust_brightness.wgsl"), width);
    let call = Call::new("adjust_brightness", text, tuning.untiled)
        .cells(width)
        .sizes(&[("LEN", plan.batch * size / width), ("SIZE", size / width)])
        .invocations(plan.batch * size / width)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        );
    draws(call, op.draws, op.deltas(), op.range)
}

/// The sums of each channel of each image, and the result; allocates the sums after `partials` floats
/// of partial sums.
pub(super) fn contrast(
    plan: &Plan,
    tuning: &Tuning,
    op: &AdjustContrast,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let [h, w, c] = op.shape;
    let pixels = h * w;
    let most = (tuning.max_loads / c).max(1) * tuning.summing;
    let split = Split::new(pixels, most);
    let sums = take_partials(partials, plan.batch * split.parts * c);
    let groups = plan.batch * split.parts;
    let text = format!(
        "{WORKGROUP_SUM}\n{}",
        include_str!("../../../../shaders/adjust_contrast_sums.wgsl")
    );
    let sum = Call::new("adjust_contrast_sums", text, tuning.summing)
        .sizes(&[
            ("PIXELS", pixels),
            ("C", c),
            ("GROUPS", groups),
            ("PARTS", split.parts),
            ("PART_PIXELS", split.each),
        ])
        .invocations(groups * tuning.summing)
        .loads(c * split.each.div_ceil(tuning.summing))
        .write(sums)
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(1),
            tuning.image_copies,
        );
    // With one channel, all lanes of a Cell have the same mean.
    let (width, of_sums) = match c {
        1 => (cell_width(pixels), 1),
        _ => (cell_width(c), cell_width(c)),
    };
    let size = pixels * c / width;
    let text = drawing(with_draws!("adjust_contrast.wgsl"), width);
    let adjust = Call::new("adjust_contrast", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("LEN", plan.batch * size),
            ("SIZE", size),
            ("PIXELS", pixels),
            ("PARTS", split.parts),
            ("CHANNELS", c / of_sums),
        ])
        .invocations(plan.batch * size)
        .loads(split.parts)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        )
        .load("sums", sums, Vector::floats(of_sums), false);
    vec![sum, draws(adjust, op.draws, op.scales, op.range)]
}
