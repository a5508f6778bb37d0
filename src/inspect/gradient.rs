//! The gradient of one output with respect to the input.

use super::op_runner::OpRunner;
use crate::error::{Error, Result};
use crate::exec::Device;
use crate::model::Sequential;
use crate::optimizer::Optimizer;
use crate::plan::{BufferId, LossOp, Op, Plan, Purpose, Role};
use crate::state::State;

/// The gradient of a class's score with respect to `image`, `[h, w, c]`. The score is the logit,
/// the value before the last softmax or sigmoid; the output itself for a model with the mean
/// squared error as its loss. A single sigmoid's score counts as positive for class 1 and as
/// negative for class 0.
///
/// The model must be [`Frozen`](super::frozen::Frozen).
///
/// # Errors
/// No such class, or those of [`OpRunner::new`].
pub(super) fn input_gradient(
    device: &Device,
    model: (&Sequential, &State),
    image: &[f32],
    class: usize,
) -> Result<Vec<f32>> {
    let purpose = Purpose::Gradients(Optimizer::default());
    let mut runner = OpRunner::new(device, model, purpose, 1)?;
    let (at, loss) = loss(&runner.plan)?;
    let seed = seed(&runner.plan, &loss, class)?;
    let (input, target) = (runner.input()?, input_gradient_of(&runner.plan)?);
    runner.write(input, image)?;
    runner.run(1..at, 1)?;
    // The gradient that the loss would compute is replaced by that of the score.
    let dx = loss.dx.ok_or_else(no_gradient)?;
    runner.write(dx, &seed)?;
    for op in needed(&runner.plan, at + 1, target) {
        runner.run(op..op + 1, 1)?;
    }
    runner.read(target)
}

/// The loss and its index.
fn loss(plan: &Plan) -> Result<(usize, LossOp)> {
    let mut ops = plan.ops.iter().enumerate();
    let found = ops.find_map(|(i, op)| match op {
        Op::Loss(loss) => Some((i, loss.clone())),
        _ => None,
    });
    found.ok_or_else(no_gradient)
}

/// The gradient of a class's score with respect to the values that the loss reads.
fn seed(plan: &Plan, loss: &LossOp, class: usize) -> Result<Vec<f32>> {
    if class >= plan.classes {
        return Err(Error::Argument(format!(
            "no class {class}: expected a class below {}",
            plan.classes
        )));
    }
    let mut seed = vec![0.0; loss.width];
    match seed.as_mut_slice() {
        [one] => *one = if class == 0 { -1.0 } else { 1.0 },
        several => several[class] = 1.0,
    }
    Ok(seed)
}

/// The buffer of the input's gradient. If a layer is called `input`, the gradient of its output has
/// the same name, but is computed earlier in the backward pass.
fn input_gradient_of(plan: &Plan) -> Result<BufferId> {
    let is_it = |buffer: &crate::plan::Buffer| {
        buffer.role == Role::Intermediate && buffer.name == "d input"
    };
    let found = plan.buffers.iter().rposition(is_it);
    found.map(BufferId).ok_or_else(no_gradient)
}

/// The operations from `first` on that `target` depends on, in order.
fn needed(plan: &Plan, first: usize, target: BufferId) -> Vec<usize> {
    let (mut buffers, mut ops) = (vec![target], Vec::new());
    for (i, op) in plan.ops.iter().enumerate().skip(first).rev() {
        if op.writes().iter().any(|id| buffers.contains(id)) {
            buffers.extend(op.reads());
            ops.push(i);
        }
    }
    ops.reverse();
    ops
}

fn no_gradient() -> Error {
    Error::device("the plan has no gradient of its input; please report this model")
}
