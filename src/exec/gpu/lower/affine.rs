//! The calls of affine maps of images.

use std::fmt::Write as _;

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{AffinePart, AffineTransform, DrawMaps, MapDraw, Plan, RowDraws};

/// Pixels that an invocation computes, for each of which it would have to read the map otherwise.
const RUN: usize = 4;

pub(super) fn draw(plan: &Plan, tuning: &Tuning, op: &DrawMaps) -> Call<Operand> {
    let [h, w] = op.size;
    let mut text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/circle.wgsl"),
        include_str!("../../../../shaders/draw_maps.wgsl")
    )
    .to_owned();
    text += "\nfn map_of(row: u32) -> Map {\n    var map = scaled(1.0, 1.0);\n";
    for moves in &op.parts {
        let _ = writeln!(text, "    map = joined(map, {});", map(moves, op.size));
    }
    text += "    return map;\n}\n";
    Call::new("draw_maps", text, tuning.untiled)
        .sizes(&[
            ("LEN", plan.batch),
            ("ROWS", h),
            ("COLUMNS", w),
            ("DRAWS", RowDraws::PER_ROW),
        ])
        .invocations(plan.batch)
        .write(Operand::Buffer(op.maps))
}

/// The WGSL of one movement's map.
fn map(moves: &MapDraw, [h, w]: [usize; 2]) -> String {
    let number = moves.draws.number;
    let uniform = |i: u32, [lower, upper]: [f64; 2], times: f64| {
        let (lower, extent) = ((times * lower) as f32, (times * (upper - lower)) as f32);
        format!("between(row, {number}u, {i}u, f32({lower:?}), f32({extent:?}))")
    };
    let sign = |i: u32| format!("sign_of(row, {number}u, {i}u)");
    match moves.part {
        AffinePart::Crop {
            to: [rows, columns],
        } => format!("cropped({number}u, {rows}u, {columns}u)"),
        AffinePart::Flip {
            horizontal,
            vertical,
        } => {
            let flip = |flips: bool, i| if flips { sign(i) } else { "1.0".into() };
            format!("scaled({}, {})", flip(horizontal, 0), flip(vertical, 1))
        }
        AffinePart::Rotate { turns } => format!("rotated({})", uniform(0, turns, 1.0)),
        AffinePart::Translate { height, width } => format!(
            "shifted({}, {})",
            uniform(0, height, h as f64),
            uniform(1, width, w as f64)
        ),
        AffinePart::Zoom { height, width } => {
            let rows = format!("1.0 + {}", uniform(0, height, 1.0));
            let columns = width.map(|width| format!("1.0 + {}", uniform(1, width, 1.0)));
            format!("scaled({}, {rows})", columns.as_ref().unwrap_or(&rows))
        }
        AffinePart::Shear { x, y } => format!(
            "sheared({0} * {1}, {0} * {2})",
            sign(0),
            uniform(1, x, 1.0),
            uniform(2, y, 1.0)
        ),
    }
}

/// The constants of `shaders/sampling.wgsl`.
pub(super) fn sampling(
    call: Call<Operand>,
    [h, w, c]: [usize; 3],
    sampling: &Sampling,
) -> Call<Operand> {
    let width = cell_width(c);
    let modes = [
        FillMode::Reflect,
        FillMode::Constant,
        FillMode::Nearest,
        FillMode::Wrap,
    ];
    let call = call
        .cells(width)
        .sizes(&[
            ("H", h),
            ("W", w),
            ("C", c / width),
            ("MODE", sampling.fill_mode as usize),
            (
                "IS_BILINEAR",
                usize::from(sampling.interpolation == Resampling::Bilinear),
            ),
        ])
        .numbers(&[("FILL", sampling.fill_value)]);
    modes.into_iter().fold(call, |call, mode| {
        call.sizes(&[(mode.name().to_uppercase().as_str(), mode as usize)])
    })
}

pub(super) fn transform(plan: &Plan, tuning: &Tuning, op: &AffineTransform) -> Call<Operand> {
    let [oh, ow] = op.to;
    let text = concat!(
        include_str!("../../../../shaders/sampling.wgsl"),
        include_str!("../../../../shaders/affine_transform.wgsl")
    );
    let call = Call::new("affine_transform", text, tuning.untiled);
    sampling(call, op.shape, &op.sampling)
        .sizes(&[("BATCH", plan.batch), ("OH", oh), ("OW", ow), ("RUN", RUN)])
        .invocations(plan.batch * (oh * ow).div_ceil(RUN))
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(cell_width(op.shape[2])),
            tuning.image_copies,
        )
        .load(
            "maps",
            Operand::Buffer(op.maps),
            Vector::floats(4),
            tuning.image_copies,
        )
}
