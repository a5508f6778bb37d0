//! The calls of activations that are not fused.

use super::super::call::Call;
use super::super::slot::Slot;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward, BufferId, Plan, Through};

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &ActivationForward) -> Call<Slot> {
    let buffers = [op.x, op.x, op.y];
    activation_call((plan, tuning), "activation_forward", op.activation, buffers)
}

pub(super) fn backward(plan: &Plan, tuning: &Tuning, op: &ActivationBackward) -> Call<Slot> {
    let Through { y, activation } = op.through;
    activation_call(
        (plan, tuning),
        "activation_backward",
        activation,
        [y, op.dy, op.dx],
    )
}

fn activation_call(
    (plan, tuning): (&Plan, &Tuning),
    entry: &'static str,
    activation: Activation,
    [a, b, out]: [BufferId; 3],
) -> Call<Slot> {
    let len = plan.buffer(out).len();
    let width = cell_width(len);
    let text = include_str!("../../../../shaders/activation.wgsl");
    Call::new(entry, text, tuning.untiled)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .activation(activation)
        .invocations(len / width)
        .read(Slot::Buffer(a))
        .read(Slot::Buffer(b))
        .write(Slot::Buffer(out))
}
