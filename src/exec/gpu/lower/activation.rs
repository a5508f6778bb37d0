//! The calls of activations that are not fused.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use crate::model::Activation;
use crate::plan::{ActivationBackward, ActivationForward, BufferId, Plan, Through};

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &ActivationForward) -> Call<Operand> {
    let buffers = [op.x, op.x, op.y];
    activation_call((plan, tuning), "activation_forward", op.activation, buffers)
}

pub(super) fn backward(plan: &Plan, tuning: &Tuning, op: &ActivationBackward) -> Call<Operand> {
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
) -> Call<Operand> {
    let len = plan.buffer(out).len();
    let width = cell_width(len);
    let text = include_str!("../../../../shaders/activation.wgsl");
    Call::new(entry, text, tuning.untiled)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .activation(activation)
        .invocations(len / width)
        .read(Operand::Buffer(a))
        .read(Operand::Buffer(b))
        .write(Operand::Buffer(out))
}
