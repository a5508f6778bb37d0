//! The calls of softmax that is not fused with a loss.

use super::super::call::Call;
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use super::shared::through_operand;
use crate::plan::{BufferId, Plan, SoftmaxBackward, SoftmaxForward, Through};

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &SoftmaxForward) -> Call<Operand> {
    let buffers = [op.x, op.x, op.y];
    softmax((plan, tuning), "softmax_forward", op.width, buffers, None)
}

pub(super) fn backward(plan: &Plan, tuning: &Tuning, op: &SoftmaxBackward) -> Call<Operand> {
    let buffers = [op.dy, op.y, op.dx];
    softmax(
        (plan, tuning),
        "softmax_backward",
        op.width,
        buffers,
        op.through,
    )
}

fn softmax(
    (plan, tuning): (&Plan, &Tuning),
    entry: &'static str,
    width: usize,
    [a, b, out]: [BufferId; 3],
    through: Option<Through>,
) -> Call<Operand> {
    let rows = plan.buffer(out).len() / width;
    let text = include_str!("../../../../shaders/softmax.wgsl");
    Call::new(entry, text, tuning.untiled)
        .sizes(&[("ROWS", rows), ("WIDTH", width)])
        .through(through)
        .invocations(rows)
        .loads(3 * width)
        .read(Operand::Buffer(a))
        .read(Operand::Buffer(b))
        .read(through_operand(through, a))
        .write(Operand::Buffer(out))
}
