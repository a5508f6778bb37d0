//! The calls of contrast and brightness.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::erase::{ERASING, NOT_ERASING, erased};
use super::shared::{Split, WORKGROUP_SUM, drawing, take_partials};
use crate::plan::{AdjustBrightness, AdjustContrast, BufferId, Erase, Plan, RowDraws};

/// The text before the kernels.
const DRAWS: &str = concat!(
    include_str!("../../../../shaders/rng.wgsl"),
    include_str!("../../../../shaders/adjust.wgsl")
);

/// In place of `shaders/brightness.wgsl`.
const NO_BRIGHTNESS: &str = "
fn shift_of(row: u32) -> f32 { return 0.0; }
fn brightened(x: Cell, shift: f32) -> Cell { return x; }
";

/// What the pass of a contrast computes behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct BehindContrast {
    /// A brightness.
    pub(super) brightness: Option<AdjustBrightness>,
    /// An erasing, behind the brightness if there is one.
    pub(super) erase: Option<Erase>,
}

impl BehindContrast {
    /// The last result; `y` is the contrast's.
    pub(super) fn result(&self, y: BufferId) -> BufferId {
        let brightness = self.brightness.as_ref().map(|op| op.y);
        let erase = self.erase.as_ref().map(|op| op.y);
        erase.or(brightness).unwrap_or(y)
    }
}

/// Floats of a Cell of contrast: with one channel, all lanes have the same mean.
pub(super) fn contrast_width([h, w, c]: [usize; 3]) -> usize {
    cell_width(if c == 1 { h * w } else { c })
}

/// The constants of `shaders/brightness.wgsl`.
fn brightened(call: Call<Operand>, op: &AdjustBrightness) -> Call<Operand> {
    let ([lower, upper], [low, high]) = (op.deltas(), op.range);
    call.sizes(&[("BRIGHTNESS_NUMBER", op.draws.number as usize)])
        .numbers(&[
            ("BRIGHTNESS_LOWER", lower as f32),
            ("BRIGHTNESS_EXTENT", (upper - lower) as f32),
            ("BRIGHTNESS_LOW", low as f32),
            ("BRIGHTNESS_HIGH", high as f32),
        ])
}

pub(super) fn brightness(plan: &Plan, tuning: &Tuning, op: &AdjustBrightness) -> Call<Operand> {
    let size = plan.buffer(op.y).len() / plan.batch;
    let width = cell_width(size);
    let runs = (size / width).div_ceil(tuning.row_cells);
    let text = [
        DRAWS,
        include_str!("../../../../shaders/brightness.wgsl"),
        include_str!("../../../../shaders/adjust_brightness.wgsl"),
    ];
    let text = drawing(&text.concat(), width);
    let call = Call::new("adjust_brightness", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("SIZE", size / width),
            ("RUNS", runs),
            ("DRAWS", RowDraws::PER_ROW),
        ])
        .invocations(plan.batch * runs)
        .loads(tuning.row_cells)
        .write(Operand::Buffer(op.y))
        .load("x", Operand::Buffer(op.x), Vector::floats(width), false);
    brightened(call, op)
}

/// The sums of each channel of each image, and the result with what is computed behind it; allocates the sums
/// after `partials` floats of partial sums. Their values are read once, so that image copies would not pay.
pub(super) fn contrast(
    plan: &Plan,
    tuning: &Tuning,
    op: &AdjustContrast,
    behind: &BehindContrast,
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
        .load("x", Operand::Buffer(op.x), Vector::floats(1), false);
    let width = contrast_width(op.shape);
    let of_sums = if c == 1 { 1 } else { width };
    let size = pixels * c / width;
    let runs = size.div_ceil(tuning.row_cells);
    let text = [
        DRAWS,
        match behind.brightness {
            Some(_) => include_str!("../../../../shaders/brightness.wgsl"),
            None => NO_BRIGHTNESS,
        },
        behind.erase.as_ref().map_or(NOT_ERASING, |_| ERASING),
        include_str!("../../../../shaders/adjust_contrast.wgsl"),
    ];
    let text = drawing(&text.concat(), width);
    let ([lower, upper], [low, high]) = (op.scales, op.range);
    let adjust = Call::new("adjust_contrast", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("SIZE", size),
            ("RUNS", runs),
            ("PIXELS", pixels),
            ("PARTS", split.parts),
            ("CHANNELS", c / of_sums),
            ("NUMBER", op.draws.number as usize),
            ("DRAWS", RowDraws::PER_ROW),
        ])
        .numbers(&[
            ("LOWER", lower as f32),
            ("EXTENT", (upper - lower) as f32),
            ("LOW", low as f32),
            ("HIGH", high as f32),
        ])
        .invocations(plan.batch * runs)
        .loads(tuning.row_cells * split.parts)
        .write(Operand::Buffer(behind.result(op.y)))
        .load("x", Operand::Buffer(op.x), Vector::floats(width), false)
        .load("sums", sums, Vector::floats(of_sums), false);
    let adjust = match &behind.brightness {
        Some(brightness) => brightened(adjust, brightness),
        None => adjust,
    };
    let adjust = match &behind.erase {
        Some(erase) => erased(adjust, erase),
        None => adjust,
    };
    vec![sum, adjust]
}
