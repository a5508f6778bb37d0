//! The calls of elastic transformations.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::affine::sampling;
use super::shared::{drawing, take_partials};
use crate::plan::{BlurNoise, DisplacePixels, DrawNoise, Plan, RowDraws};

pub(super) fn noise(plan: &Plan, tuning: &Tuning, op: &DrawNoise) -> Call<Operand> {
    let size = op.size[0] * op.size[1];
    // A Cell belongs to one axis.
    let width = cell_width(size);
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/circle.wgsl"),
        include_str!("../../../../shaders/normal.wgsl"),
        include_str!("../../../../shaders/draw_noise.wgsl")
    );
    let text = drawing(text, width);
    let len = plan.batch * 2 * size / width;
    let [probability, extent] = op.strength.probability_bounds();
    Call::new("draw_noise", text, tuning.untiled)
        .cells(width)
        .sizes(&[
            ("LEN", len),
            ("WIDTH", width),
            ("SIZE", size / width),
            ("NUMBER", op.draws.number as usize),
            ("DRAWS", RowDraws::PER_ROW),
            ("RIGHT", op.series[0].number as usize),
            ("DOWN", op.series[1].number as usize),
            ("PROBABILITY", probability as usize),
            ("PROBABILITY_EXTENT", extent as usize),
        ])
        .invocations(len)
        .write(Operand::Buffer(op.noise))
}

/// Weights, the blur along rows, weights again and the blur along columns; allocates what lies between
/// after `partials` floats of partial sums. Weights have calls of their own because Mesa 22.3 takes
/// minutes to compile loops of which the number of iterations is drawn, and two because a call cannot
/// read and write partial sums: those for the rows lie where the result will be.
pub(super) fn blur(
    plan: &Plan,
    tuning: &Tuning,
    op: &BlurNoise,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let [h, w] = op.size;
    let len = plan.batch * 2 * h * w;
    let reach = op.strength.max_reach(op.size);
    let (blurred, last) = (
        take_partials(partials, len),
        take_partials(partials, reach + 2),
    );
    let result = Operand::Buffer(op.fields);
    let sizes = [("LEN", len), ("H", h), ("W", w), ("REACH", reach)];
    let [scale, extent] = op.strength.scale_bounds();
    let weights = |to| {
        let text = concat!(
            include_str!("../../../../shaders/rng.wgsl"),
            include_str!("../../../../shaders/blur_noise_weights.wgsl")
        );
        let text = drawing(text, 1);
        Call::new("blur_noise_weights", text, tuning.untiled)
            .sizes(&sizes)
            .sizes(&[
                ("NUMBER", op.draws.number as usize),
                ("DRAWS", RowDraws::PER_ROW),
                ("SCALE", scale as usize),
                ("SCALE_EXTENT", extent as usize),
            ])
            .invocations(reach + 2)
            .write(to)
    };
    let blur = |entry, to, from, weights, image| {
        let text = include_str!("../../../../shaders/blur_noise.wgsl");
        Call::new(entry, text, tuning.untiled)
            .sizes(&sizes)
            .invocations(len)
            .loads(2 * reach + 1)
            .write(to)
            .load("x", from, Vector::floats(1), image)
            .load("weights", weights, Vector::floats(1), false)
    };
    let noise = Operand::Buffer(op.noise);
    vec![
        weights(result),
        blur(
            "blur_noise_rows",
            blurred,
            noise,
            result,
            tuning.image_copies,
        ),
        weights(last),
        blur("blur_noise_columns", result, blurred, last, false),
    ]
}

pub(super) fn displace(plan: &Plan, tuning: &Tuning, op: &DisplacePixels) -> Call<Operand> {
    let [h, w, _] = op.shape;
    let text = concat!(
        include_str!("../../../../shaders/sampling.wgsl"),
        include_str!("../../../../shaders/displace_pixels.wgsl")
    );
    let [low, high] = op.range;
    let call = Call::new("displace_pixels", text, tuning.untiled);
    sampling(call, op.shape, &op.sampling)
        .sizes(&[("BATCH", plan.batch)])
        .numbers(&[("LOW", low as f32), ("HIGH", high as f32)])
        .invocations(plan.batch * h * w)
        .write(Operand::Buffer(op.y))
        .load(
            "x",
            Operand::Buffer(op.x),
            Vector::floats(cell_width(op.shape[2])),
            tuning.image_copies,
        )
        .load(
            "fields",
            Operand::Buffer(op.fields),
            Vector::floats(1),
            tuning.image_copies,
        )
}
