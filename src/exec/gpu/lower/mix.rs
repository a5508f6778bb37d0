//! The calls of MixUp and CutMix.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::plan::{DrawMixes, EXPONENTIAL, MixRows, Plan, RowDraws, SHARE_ONE, SINE};

pub(super) fn draw(plan: &Plan, tuning: &Tuning, op: &DrawMixes) -> Call<Operand> {
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/beta.wgsl"),
        include_str!("../../../../shaders/side.wgsl"),
        include_str!("../../../../shaders/draw_mixes.wgsl")
    );
    let [h, w] = op.size;
    let (mixup, cutmix) = (op.mixing.mixup_units(), op.mixing.cutmix_units());
    let [least, extent] = cutmix.unwrap_or([1, 0]);
    let call = Call::new("draw_mixes", text, tuning.untiled).sizes(&[
        ("LEN", plan.batch),
        ("H", h),
        ("W", w),
        ("NUMBER", op.draws.number as usize),
        ("DRAWS", RowDraws::PER_ROW),
        ("HAS_MIXUP", usize::from(mixup.is_some())),
        ("MIXUP", mixup.unwrap_or(1) as usize),
        ("HAS_CUTMIX", usize::from(cutmix.is_some())),
        ("CUTMIX", least as usize),
        ("CUTMIX_EXTENT", extent as usize),
    ]);
    let call = coefficients(call, "E", &EXPONENTIAL);
    coefficients(call, "S", &SINE)
        .invocations(plan.batch)
        .read(Operand::Buffer(op.labels))
        .write(Operand::Buffer(op.mixes))
        .write(Operand::Buffer(op.targets))
}

/// The constants NAME1, NAME2, ...
fn coefficients(call: Call<Operand>, name: &str, values: &[u32]) -> Call<Operand> {
    let numbered = values.iter().enumerate();
    numbered.fold(call, |call, (i, &value)| {
        call.sizes(&[(&format!("{name}{}", i + 1), value as usize)])
    })
}

/// A Cell lies in one row of one image.
pub(super) fn rows(plan: &Plan, tuning: &Tuning, op: &MixRows) -> Call<Operand> {
    let [h, w, c] = op.shape;
    let width = cell_width(w * c);
    let text = include_str!("../../../../shaders/mix_rows.wgsl");
    let len = plan.batch * h * w * c / width;
    Call::new("mix_rows", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("LEN", len),
            ("WIDTH", width),
            ("C", c),
            ("SIZE", h * w * c),
            ("COLUMNS", w),
            ("SHARE_ONE", SHARE_ONE as usize),
        ])
        .invocations(len)
        .loads(2)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(width),
            tuning.image_copies,
        )
        .load(
            "mixes",
            Operand::Buffer(op.mixes),
            Vector::words(4),
            tuning.image_copies,
        )
}
