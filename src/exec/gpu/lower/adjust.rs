//! The calls of contrast and brightness.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::{Split, WORKGROUP_SUM, drawing, take_partials};
use crate::plan::{AdjustBrightness, AdjustContrast, Op, Plan, RowDraws};

/// Cells of an image that an invocation computes: it would have to draw for each of them otherwise.
const RUN: usize = 4;

/// The text before the kernels.
macro_rules! with_draws {
    ($($file:literal),*) => {
        concat!(
            include_str!("../../../../shaders/rng.wgsl"),
            include_str!("../../../../shaders/adjust.wgsl"),
            $(include_str!(concat!("../../../../shaders/", $file))),*
        )
    };
}

/// The brightness behind each contrast whose result nothing else reads: one pass computes both.
pub(super) fn fused_brightness(plan: &Plan) -> Vec<AdjustBrightness> {
    let pairs = plan.ops.iter().zip(plan.ops.iter().skip(1));
    let of_pair = |(first, second): (&Op, &Op)| {
        let (contrast, brightness) = (
            first.downcast::<AdjustContrast>()?,
            second.downcast::<AdjustBrightness>()?,
        );
        let readers = plan
            .ops
            .iter()
            .filter(|op| op.reads().contains(&contrast.y));
        (brightness.x == contrast.y && readers.count() == 1).then(|| brightness.clone())
    };
    pairs.filter_map(of_pair).collect()
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
    let text = with_draws!("brightness.wgsl", "adjust_brightness.wgsl");
    let text = drawing(text, width);
    let call = Call::new("adjust_brightness", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("SIZE", size / width),
            ("RUNS", (size / width).div_ceil(RUN)),
            ("DRAWS", RowDraws::PER_ROW),
        ])
        .invocations(plan.batch * (size / width).div_ceil(RUN))
        .loads(RUN)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        );
    brightened(call, op)
}

/// The sums of each channel of each image, and the result, with that of a brightness behind it if there is
/// one; allocates the sums after `partials` floats of partial sums.
pub(super) fn contrast(
    plan: &Plan,
    tuning: &Tuning,
    op: &AdjustContrast,
    brightness: Option<&AdjustBrightness>,
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
    let text = match brightness {
        Some(_) => with_draws!("brightness.wgsl", "adjust_contrast.wgsl"),
        None => concat!(
            with_draws!("adjust_contrast.wgsl"),
            "\nfn shift_of(row: u32) -> f32 { return 0.0; }\n",
            "fn brightened(x: Cell, shift: f32) -> Cell { return x; }\n"
        ),
    };
    let text = drawing(text, width);
    let ([lower, upper], [low, high]) = (op.scales, op.range);
    let adjust = Call::new("adjust_contrast", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("BATCH", plan.batch),
            ("SIZE", size),
            ("RUNS", size.div_ceil(RUN)),
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
        .invocations(plan.batch * size.div_ceil(RUN))
        .loads(RUN * split.parts)
        .write(Operand::Buffer(brightness.map_or(op.y, |op| op.y)))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        )
        .load("sums", sums, Vector::floats(of_sums), false);
    let adjust = match brightness {
        Some(brightness) => brightened(adjust, brightness),
        None => adjust,
    };
    vec![sum, adjust]
}
