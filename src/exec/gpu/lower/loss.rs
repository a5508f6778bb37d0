//! The calls of losses.

use super::super::call::{Call, Vector};
use super::super::slot::Slot;
use super::super::tuning::Tuning;
use super::shared::through_slot;
use crate::model::Loss;
use crate::plan::{BufferId, LossOp, Plan, Through};

/// The small dense layer before the loss, whose input gradient the loss's call computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FusedDenseGrad {
    /// Number of inputs of the layer.
    pub(super) inputs: usize,
    /// Its kernel.
    pub(super) w: BufferId,
    /// The gradient of its input.
    pub(super) dx: BufferId,
    /// The activation that the gradient goes back through.
    pub(super) through: Option<Through>,
}

/// The call of a loss, including the input gradient of the `fused` dense layer before it, if any.
pub(super) fn call(
    plan: &Plan,
    tuning: &Tuning,
    op: &LossOp,
    fused: Option<&FusedDenseGrad>,
) -> Call<Slot> {
    let (loss, width) = (op.loss, op.width);
    let (entry, text) = match loss {
        Loss::CategoricalCrossentropy { .. } => (
            "softmax_cross_entropy",
            include_str!("../../../../shaders/softmax_cross_entropy.wgsl"),
        ),
        Loss::BinaryCrossentropy { .. } => (
            "sigmoid_cross_entropy",
            include_str!("../../../../shaders/sigmoid_cross_entropy.wgsl"),
        ),
        Loss::MeanSquaredError => (
            "mean_squared_error",
            include_str!("../../../../shaders/mean_squared_error.wgsl"),
        ),
    };
    let common = include_str!("../../../../shaders/loss.wgsl");
    let then = match fused {
        Some(_) => include_str!("../../../../shaders/fused_dense_grad.wgsl"),
        None => "fn fused_dense_grad(r: u32) {}\n",
    };
    let [off, on] = loss.targets(width).map(|t| t as f32);
    let products = fused.map_or(0, |dense| dense.inputs * width);
    let call = Call::new(entry, format!("{common}\n{text}\n{then}"), tuning.loss)
        .loads(plan.batch.div_ceil(tuning.loss) * (4 * width + products))
        .sizes(&[
            ("BATCH", plan.batch),
            ("WIDTH", width),
            ("CLASSES", loss.classes(width)),
            ("HAS_DX", usize::from(op.dx.is_some())),
        ])
        .numbers(&[("OFF", off), ("ON", on)])
        .invocations(1)
        .read(Slot::Buffer(op.x))
        .read(Slot::Buffer(op.labels))
        .write(Slot::Buffer(op.predictions))
        .write(Slot::Metrics)
        .write(op.dx.map_or(Slot::Nothing, Slot::Buffer));
    let class_weights = op.class_weights.as_deref().unwrap_or_default();
    let Some(&FusedDenseGrad {
        inputs,
        w,
        dx,
        through,
    }) = fused
    else {
        return call.table("class_weight", class_weights);
    };
    call.sizes(&[("INPUTS", inputs)])
        .through(through)
        .write(Slot::Buffer(dx))
        .load("w", Slot::Buffer(w), Vector::floats(1), tuning.image_copies)
        .load(
            "through",
            through_slot(through, w),
            Vector::floats(1),
            tuning.image_copies,
        )
        .table("class_weight", class_weights)
}
