//! The calls of losses.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::shared::{Split, take_partials, through_operand};
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

/// The calls of a loss, including the input gradient of the `fused` dense layer before it, if any:
/// one, or two if the batch is split; allocates the metrics of its parts after `partials` floats of
/// partial sums.
pub(super) fn calls(
    plan: &Plan,
    tuning: &Tuning,
    op: &LossOp,
    fused: Option<&FusedDenseGrad>,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let split = split(plan, tuning, op, fused);
    if split.is_whole() {
        return vec![rows(plan, tuning, op, fused, (split, Operand::Metrics))];
    }
    // A loss and a count per part.
    let parts = take_partials(partials, 2 * split.parts);
    let finish = concat!(
        include_str!("../../../../shaders/metrics.wgsl"),
        include_str!("../../../../shaders/loss_finish.wgsl")
    );
    let finish = Call::new("loss_finish", finish, tuning.loss)
        .sizes(&[("PARTS", split.parts)])
        .invocations(tuning.loss)
        .loads(split.parts.div_ceil(tuning.loss))
        .read(parts)
        .write(Operand::Metrics);
    vec![rows(plan, tuning, op, fused, (split, parts)), finish]
}

/// Values that an invocation loads for each of its rows.
fn loads_per_row(op: &LossOp, fused: Option<&FusedDenseGrad>) -> usize {
    4 * op.width + fused.map_or(0, |dense| dense.inputs * op.width)
}

/// The rows of each workgroup.
fn split(plan: &Plan, tuning: &Tuning, op: &LossOp, fused: Option<&FusedDenseGrad>) -> Split {
    let rows_each = (tuning.max_loads / loads_per_row(op, fused)).max(1);
    Split::new(plan.batch, rows_each * tuning.loss)
}

/// The call that computes the rows, in parts whose metrics go to `metrics`.
fn rows(
    plan: &Plan,
    tuning: &Tuning,
    op: &LossOp,
    fused: Option<&FusedDenseGrad>,
    (split, metrics): (Split, Operand),
) -> Call<Operand> {
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
    let labels = match op.targets {
        None => include_str!("../../../../shaders/loss_label.wgsl"),
        Some(_) => include_str!("../../../../shaders/loss_mixed.wgsl"),
    };
    let common = concat!(
        include_str!("../../../../shaders/metrics.wgsl"),
        include_str!("../../../../shaders/loss.wgsl")
    );
    let then = match fused {
        Some(_) => include_str!("../../../../shaders/fused_dense_grad.wgsl"),
        None => "fn fused_dense_grad(r: u32) {}\n",
    };
    let [off, on] = loss.targets(width).map(|t| t as f32);
    let call = Call::new(
        entry,
        format!("{labels}\n{common}\n{text}\n{then}"),
        tuning.loss,
    )
    .loads(split.each.div_ceil(tuning.loss) * loads_per_row(op, fused))
    .sizes(&[
        ("BATCH", plan.batch),
        ("PARTS", split.parts),
        ("PART_ROWS", split.each),
        ("WIDTH", width),
        ("CLASSES", loss.classes(width)),
        ("HAS_DX", usize::from(op.dx.is_some())),
    ])
    .numbers(&[("OFF", off), ("ON", on)])
    .invocations(split.parts * tuning.loss)
    .read(Operand::Buffer(op.x))
    .read(Operand::Buffer(op.targets.unwrap_or(op.labels)))
    .write(Operand::Buffer(op.predictions))
    .write(metrics)
    .write(op.dx.map_or(Operand::Nothing, Operand::Buffer));
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
        .write(Operand::Buffer(dx))
        .load(
            "w",
            Operand::Buffer(w),
            Vector::floats(1),
            tuning.image_copies,
        )
        .load(
            "through",
            through_operand(through, w),
            Vector::floats(1),
            tuning.image_copies,
        )
        .table("class_weight", class_weights)
}
