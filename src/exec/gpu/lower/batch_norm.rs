//! The calls of batch normalization.

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tiled::cell_width;
use super::super::tuning::Tuning;
use super::shared::{Split, WORKGROUP_SUM, take_partials};
use crate::plan::{
    BatchNorm, BatchNormBackwardInput, BatchNormBackwardWeight, BatchNormForward, BatchNormMove,
    BatchNormStatistics, BufferId, Moving, Plan,
};

/// One call, or two if sums are split; allocates their parts after `partials` floats of partial
/// sums.
pub(super) fn statistics(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormStatistics,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let text = include_str!("../../../../shaders/batch_norm_statistics.wgsl");
    let [to_mean, to_variance] = op.moving.written();
    let kernel = Sums {
        entries: ["batch_norm_statistics", "batch_norm_statistics_finish"],
        text,
        passes: 2,
        write: &[op.mean, op.variance, to_mean, to_variance],
    };
    let (momentum, is_part) = match op.moving {
        Moving::Move { momentum, .. } => (momentum, false),
        Moving::Parts(_) => (0.0, true),
    };
    let calls = kernel.calls((plan, tuning, &op.norm, op.x), partials);
    let calls = calls.into_iter().map(|call| {
        let numbers = [
            ("MOMENTUM", momentum as f32),
            ("ONE_MINUS_MOMENTUM", (1.0 - momentum) as f32),
        ];
        let call = call.numbers(&numbers).sizes(&[("IS_PART", is_part.into())]);
        load(call, tuning, 1, &[("x", op.x)])
    });
    calls.collect()
}

pub(super) fn move_statistic(plan: &Plan, tuning: &Tuning, op: &BatchNormMove) -> Call<Operand> {
    let text = include_str!("../../../../shaders/batch_norm_move.wgsl");
    let len = plan.buffer(op.moving).len();
    let call = Call::new("batch_norm_move", text, tuning.untiled)
        .sizes(&[("LEN", len)])
        .numbers(&[
            ("MOMENTUM", op.momentum as f32),
            ("ONE_MINUS_MOMENTUM", (1.0 - op.momentum) as f32),
        ])
        .invocations(len)
        .write(Operand::Buffer(op.moving));
    load(call, tuning, 1, &[("now", op.now)])
}

pub(super) fn forward(plan: &Plan, tuning: &Tuning, op: &BatchNormForward) -> Call<Operand> {
    let text = include_str!("../../../../shaders/batch_norm_forward.wgsl");
    let (entry, learnt) = ("batch_norm_forward", (op.gamma, op.beta));
    let call = cell_by_cell(entry, text, (plan, tuning, &op.norm), learnt, op.y);
    let read = [
        ("x", op.x),
        ("mean", op.mean),
        ("variance", op.variance),
        ("gamma", op.gamma.unwrap_or(op.mean)),
        ("beta", op.beta.unwrap_or(op.mean)),
    ];
    load(call, tuning, cell_width(op.norm.c), &read)
}

/// One call, or two if sums are split; allocates their parts after `partials` floats of partial
/// sums.
pub(super) fn backward_weight(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormBackwardWeight,
    partials: &mut usize,
) -> Vec<Call<Operand>> {
    let text = include_str!("../../../../shaders/batch_norm_backward_weight.wgsl");
    let kernel = Sums {
        entries: [
            "batch_norm_backward_weight",
            "batch_norm_backward_weight_finish",
        ],
        text,
        passes: 1,
        write: &[op.dgamma, op.dbeta],
    };
    let calls = kernel.calls((plan, tuning, &op.norm, op.x), partials);
    let read = [
        ("x", op.x),
        ("dy", op.dy),
        ("mean", op.mean),
        ("variance", op.variance),
    ];
    let calls = calls.into_iter();
    calls.map(|call| load(call, tuning, 1, &read)).collect()
}

pub(super) fn backward_input(
    plan: &Plan,
    tuning: &Tuning,
    op: &BatchNormBackwardInput,
) -> Call<Operand> {
    let text = include_str!("../../../../shaders/batch_norm_backward_input.wgsl");
    let entry = "batch_norm_backward_input";
    let call = cell_by_cell(
        entry,
        text,
        (plan, tuning, &op.norm),
        (op.gamma, None),
        op.dx,
    );
    // Without sums, buffers of their shape, which are not read.
    let [dgamma, dbeta] = op.sums.unwrap_or([op.mean; 2]);
    let call = call.sizes(&[("HAS_SUMS", usize::from(op.sums.is_some()))]);
    let read = [
        ("x", op.x),
        ("dy", op.dy),
        ("mean", op.mean),
        ("variance", op.variance),
        ("gamma", op.gamma.unwrap_or(op.mean)),
        ("dgamma", dgamma),
        ("dbeta", dbeta),
    ];
    load(call, tuning, cell_width(op.norm.c), &read)
}

/// Binds buffers for reading, `width` floats at a time.
fn load(
    call: Call<Operand>,
    tuning: &Tuning,
    width: usize,
    read: &[(&str, BufferId)],
) -> Call<Operand> {
    read.iter().fold(call, |call, &(name, id)| {
        call.load(
            name,
            Operand::Buffer(id),
            Vector::floats(width),
            tuning.image_copies,
        )
    })
}

/// A kernel that sums over the cells of each channel.
struct Sums<'a> {
    /// The kernel's name, and that of the kernel that combines parts.
    entries: [&'static str; 2],
    text: &'static str,
    /// Number of passes over the cells.
    passes: usize,
    write: &'a [BufferId],
}

impl Sums<'_> {
    /// A workgroup per part of each channel, followed by an invocation per channel if there are
    /// several parts.
    fn calls(
        &self,
        (plan, tuning, norm, x): (&Plan, &Tuning, &BatchNorm, BufferId),
        partials: &mut usize,
    ) -> Vec<Call<Operand>> {
        let cells = plan.buffer(x).len() / norm.c;
        let most = tuning.max_loads / self.passes * tuning.summing;
        let split = Split::new(cells, most);
        let room = if split.is_whole() {
            Operand::Nothing
        } else {
            take_partials(partials, 2 * split.parts * norm.c)
        };
        let parts = include_str!("../../../../shaders/batch_norm_parts.wgsl");
        let text = format!("{WORKGROUP_SUM}\n{parts}\n{}", self.text);
        let call = |entry| {
            let call = Call::new(entry, text.as_str(), tuning.summing)
                .sizes(&[
                    ("C", norm.c),
                    ("CELLS", cells / plan.batch),
                    ("PARTS", split.parts),
                    ("PART_CELLS", split.each),
                ])
                .numbers(&[("EPSILON", norm.epsilon as f32)]);
            let write = self.write.iter().map(|&id| Operand::Buffer(id));
            write.fold(call, Call::write).write(room)
        };
        let [sum, finish] = self.entries;
        let sum = call(sum)
            .invocations(norm.c * split.parts * tuning.summing)
            .loads(self.passes * split.each.div_ceil(tuning.summing));
        if split.is_whole() {
            return vec![sum];
        }
        let finish = call(finish)
            .invocations(norm.c)
            .loads(self.passes * split.parts);
        vec![sum, finish]
    }
}

/// A call that normalizes cell by cell.
fn cell_by_cell(
    entry: &'static str,
    text: &str,
    (plan, tuning, norm): (&Plan, &Tuning, &BatchNorm),
    (gamma, beta): (Option<BufferId>, Option<BufferId>),
    out: BufferId,
) -> Call<Operand> {
    let common = include_str!("../../../../shaders/batch_norm.wgsl");
    let len = plan.buffer(out).len();
    let width = cell_width(norm.c);
    Call::new(entry, format!("{common}\n{text}"), tuning.untiled)
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
        .write(Operand::Buffer(out))
}
