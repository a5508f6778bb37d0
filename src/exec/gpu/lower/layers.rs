//! The calls of dropout, rescaling, batch normalization and penalties.

use super::super::call::Call;
use super::super::software::image_copies::Texel;
use super::super::tile::cell_width;
use super::super::tuning::Tuning;
use super::Slot;
use super::calls::through_slot;
use crate::plan::{BatchNorm, BufferId, Dropout, Op, Penalty, Plan, Through};

/// The calls of one of these operations; none of another.
pub(super) fn calls(plan: &Plan, tuning: &Tuning, op: &Op) -> Vec<Call<Slot>> {
    let call = match op {
        Op::Dropout {
            dropout,
            x,
            y,
            through,
        } => drop_cells(plan, tuning, dropout, [*x, *y], *through),
        Op::Rescale {
            scale,
            offset,
            x,
            y,
            through,
        } => rescale(plan, tuning, [*scale, *offset], [*x, *y], *through),
        Op::BatchNormStatistics {
            norm,
            x,
            mean,
            variance,
            moving,
            momentum,
        } => {
            let text = include_str!("../../../../shaders/batch_norm_statistics.wgsl");
            let write = [*mean, *variance, moving[0], moving[1]];
            sums("batch_norm_statistics", text, (plan, norm, *x), &write)
                .numbers(&[
                    ("MOMENTUM", *momentum as f32),
                    ("ONE_MINUS_MOMENTUM", (1.0 - momentum) as f32),
                ])
                .load("x", Slot::Buffer(*x), Texel::floats(1), tuning.texels)
        }
        Op::BatchNormForward {
            norm,
            x,
            mean,
            variance,
            gamma,
            beta,
            y,
        } => {
            let text = include_str!("../../../../shaders/batch_norm_forward.wgsl");
            let call = cell_by_cell(
                "batch_norm_forward",
                text,
                (plan, norm),
                (*gamma, *beta),
                *y,
            );
            let read = [
                ("x", *x),
                ("mean", *mean),
                ("variance", *variance),
                ("gamma", gamma.unwrap_or(*mean)),
                ("beta", beta.unwrap_or(*mean)),
            ];
            load(call, tuning, cell_width(norm.c), &read)
        }
        Op::BatchNormBackwardWeight {
            norm,
            x,
            dy,
            mean,
            variance,
            dgamma,
            dbeta,
        } => {
            let text = include_str!("../../../../shaders/batch_norm_backward_weight.wgsl");
            let (entry, write) = ("batch_norm_backward_weight", [*dgamma, *dbeta]);
            let call = sums(entry, text, (plan, norm, *x), &write);
            let read = [
                ("x", *x),
                ("dy", *dy),
                ("mean", *mean),
                ("variance", *variance),
            ];
            load(call, tuning, 1, &read)
        }
        Op::BatchNormBackwardInput {
            norm,
            x,
            dy,
            mean,
            variance,
            gamma,
            dgamma,
            dbeta,
            dx,
        } => {
            let text = include_str!("../../../../shaders/batch_norm_backward_input.wgsl");
            let entry = "batch_norm_backward_input";
            let call = cell_by_cell(entry, text, (plan, norm), (*gamma, None), *dx);
            let read = [
                ("x", *x),
                ("dy", *dy),
                ("mean", *mean),
                ("variance", *variance),
                ("gamma", gamma.unwrap_or(*mean)),
                ("dgamma", *dgamma),
                ("dbeta", *dbeta),
            ];
            load(call, tuning, cell_width(norm.c), &read)
        }
        Op::Gather { .. }
        | Op::Conv2dForward { .. }
        | Op::Conv2dBackwardInput { .. }
        | Op::Conv2dBackwardWeight { .. }
        | Op::Pool2dForward { .. }
        | Op::Pool2dBackward { .. }
        | Op::DenseForward { .. }
        | Op::DenseBackwardInput { .. }
        | Op::DenseBackwardWeight { .. }
        | Op::ActivationForward { .. }
        | Op::ActivationBackward { .. }
        | Op::SoftmaxForward { .. }
        | Op::SoftmaxBackward { .. }
        | Op::Loss { .. }
        | Op::Regularize { .. }
        | Op::ClipGradients { .. }
        | Op::Update { .. } => return vec![],
    };
    vec![call]
}

/// The call of one penalty, after all gradients are summed.
pub(super) fn regularize(plan: &Plan, tuning: &Tuning, penalty: &Penalty) -> Call<Slot> {
    let Penalty {
        w,
        gradient,
        regularizer,
    } = *penalty;
    let text = include_str!("../../../../shaders/regularize.wgsl");
    Call::new("regularize", format!("{WORKGROUP_SUM}\n{text}"))
        .workgroup(SUMMING)
        .sizes(&[
            ("LEN", plan.buffer(w).len()),
            ("HAS_GRADIENT", usize::from(gradient.is_some())),
        ])
        .numbers(&[("L1", regularizer.l1 as f32), ("L2", regularizer.l2 as f32)])
        .invocations(1)
        .write(Slot::Metrics)
        .write(gradient.map_or(Slot::Nothing, Slot::Buffer))
        .load("w", Slot::Buffer(w), Texel::floats(1), tuning.texels)
}

/// Binds buffers to be read, `width` floats at a time.
fn load(call: Call<Slot>, tuning: &Tuning, width: usize, read: &[(&str, BufferId)]) -> Call<Slot> {
    read.iter().fold(call, |call, &(name, id)| {
        call.load(name, Slot::Buffer(id), Texel::floats(width), tuning.texels)
    })
}

fn drop_cells(
    plan: &Plan,
    tuning: &Tuning,
    dropout: &Dropout,
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Slot> {
    let text = concat!(
        include_str!("../../../../shaders/rng.wgsl"),
        include_str!("../../../../shaders/dropout.wgsl")
    );
    cells("dropout", text, plan, tuning, [x, y], through)
        .sizes(&[
            ("WIDTH", cell_width(plan.buffer(y).len())),
            ("SIZE", dropout.size),
            ("DRAWS", dropout.width),
            ("NUMBER", dropout.number as usize),
            ("THRESHOLD", dropout.threshold() as usize),
        ])
        .numbers(&[("SCALE", dropout.scale() as f32)])
}

fn rescale(
    plan: &Plan,
    tuning: &Tuning,
    [scale, offset]: [f32; 2],
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Slot> {
    let text = include_str!("../../../../shaders/rescale.wgsl");
    cells("rescale", text, plan, tuning, [x, y], through)
        .numbers(&[("SCALE", scale), ("OFFSET", offset)])
}

/// A call that makes `y` out of `x`, Cell by Cell, and goes on through an activation.
fn cells(
    entry: &'static str,
    text: &str,
    plan: &Plan,
    tuning: &Tuning,
    [x, y]: [BufferId; 2],
    through: Option<Through>,
) -> Call<Slot> {
    let len = plan.buffer(y).len();
    let width = cell_width(len);
    Call::new(entry, text)
        .cells(width)
        .sizes(&[("LEN", len / width)])
        .through(through)
        .invocations(len / width)
        .write(Slot::Buffer(y))
        .load("x", Slot::Buffer(x), Texel::floats(width), tuning.texels)
        .load(
            "through",
            through_slot(through, x),
            Texel::floats(width),
            tuning.texels,
        )
}

/// What kernels share in which invocations sum together.
pub(super) const WORKGROUP_SUM: &str = include_str!("../../../../shaders/workgroup_sum.wgsl");
/// Invocations that sum one channel.
const SUMMING: usize = 64;

/// A call with a workgroup for each channel.
fn sums(
    entry: &'static str,
    text: &str,
    (plan, norm, x): (&Plan, &BatchNorm, BufferId),
    write: &[BufferId],
) -> Call<Slot> {
    let call = Call::new(entry, format!("{WORKGROUP_SUM}\n{text}"))
        .workgroup(SUMMING)
        .sizes(&[
            ("C", norm.c),
            ("CELLS", plan.buffer(x).len() / plan.batch / norm.c),
        ])
        .numbers(&[("EPSILON", norm.epsilon as f32)])
        .invocations(norm.c * SUMMING);
    let write = write.iter().map(|&id| Slot::Buffer(id));
    write.fold(call, Call::write)
}

/// A call that normalizes Cell by Cell.
fn cell_by_cell(
    entry: &'static str,
    text: &str,
    (plan, norm): (&Plan, &BatchNorm),
    (gamma, beta): (Option<BufferId>, Option<BufferId>),
    out: BufferId,
) -> Call<Slot> {
    let common = include_str!("../../../../shaders/batch_norm.wgsl");
    let len = plan.buffer(out).len();
    let width = cell_width(norm.c);
    Call::new(entry, format!("{common}\n{text}"))
        .cells(width)
        .sizes(&[
            ("LEN", len / width),
            ("C", norm.c / width),
            ("CELLS", len / plan.batch / norm.c),
            ("HAS_GAMMA", usize::from(gamma.is_some())),
            ("HAS_BETA", usize::from(beta.is_some())),
        ])
        .numbers(&[("EPSILON", norm.epsilon as f32)])
        .invocations(len / width)
        .write(Slot::Buffer(out))
}
