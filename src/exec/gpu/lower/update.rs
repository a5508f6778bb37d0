//! The calls that sum partial gradients and take the optimizer's step.

use std::ops::Range;

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use crate::optimizer::UpdateRule;
use crate::plan::{BufferId, Plan, Role, Update};

/// Floats per block.
pub(super) const BLOCK: usize = 64;

/// A block of 64 floats of a gradient: the twin of `Block` in `shaders/partials.wgsl`. Offsets are
/// in vec4s.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Block {
    /// Offset of the sum.
    pub to: u32,
    /// Offset of the first partial.
    pub first: u32,
    /// Distance between partials.
    pub stride: u32,
    /// Number of partials; 0 if the gradient is whole.
    pub splits: u32,
}

/// The call that sums some blocks.
pub fn reduce(tuning: &Tuning, range: Range<usize>) -> Call<Operand> {
    let text = concat!(
        include_str!("../../../../shaders/partials.wgsl"),
        include_str!("../../../../shaders/reduce.wgsl")
    );
    Call::new("reduce", text, tuning.untiled)
        .cells(4)
        .sizes(&[("BLOCKS", range.len()), ("FIRST", range.start)])
        .invocations(range.len() * BLOCK / 4)
        .write(Operand::Gradients)
        .load(
            "blocks",
            Operand::Blocks,
            Vector::words(4),
            tuning.image_copies,
        )
        .load(
            "partials",
            Operand::Partials(0),
            Vector::floats(4),
            tuning.image_copies,
        )
}

/// The function of the learning rate of a Cell. The factors are part of its text, so that networks
/// without them have none to load.
fn rate(plan: &Plan, update: &Update) -> String {
    let last = |param: BufferId| match plan.buffer(param).role {
        Role::Parameter(i) => plan.layout.parameters[i]
            .range()
            .end
            .next_multiple_of(BLOCK),
        Role::Gradient(_) | Role::Input | Role::Intermediate => 0,
    };
    // Consecutive parameters with the same factor, and where they end, in Cells.
    let mut runs: Vec<(usize, f32)> = Vec::new();
    for (&param, &factor) in update.params.iter().zip(&update.factors) {
        let end = last(param) / 4;
        match runs.last_mut() {
            Some(run) if run.1 == factor => run.0 = end,
            _ => runs.push((end, factor)),
        }
    }
    format!("fn rate(i: u32) -> f32 {{\n{}}}\n", rate_of(&runs))
}

/// The statements that return the rate of a Cell of these runs: a search that halves them.
fn rate_of(runs: &[(usize, f32)]) -> String {
    match runs {
        [] | [(_, 1.0)] => "    return step.rate;\n".into(),
        [(_, factor)] => format!("    return {factor:?}f * step.rate;\n"),
        runs => {
            let (before, after) = runs.split_at(runs.len() / 2);
            let end = before.last().map_or(0, |run| run.0);
            let (before, after) = (rate_of(before), rate_of(after));
            format!("    if i < {end}u {{\n{before}    }}\n{after}")
        }
    }
}

pub(super) fn call(plan: &Plan, tuning: &Tuning, update: &Update) -> Call<Operand> {
    let optimizer = &update.optimizer;
    let all = |momentum: f64, rho: f64, beta_1: f64, beta_2: f64, epsilon: f64| {
        [
            ("MOMENTUM", momentum),
            ("RHO", rho),
            ("ONE_MINUS_RHO", 1.0 - rho),
            ("ONE_MINUS_BETA_1", 1.0 - beta_1),
            ("ONE_MINUS_BETA_2", 1.0 - beta_2),
            ("EPSILON", epsilon),
        ]
    };
    let (entry, numbers) = match optimizer.rule {
        UpdateRule::Sgd { momentum, .. } => ("sgd_update", all(momentum, 0.0, 0.0, 0.0, 0.0)),
        UpdateRule::RmsProp {
            rho,
            momentum,
            epsilon,
            ..
        } => ("rmsprop_update", all(momentum, rho, 0.0, 0.0, epsilon)),
        UpdateRule::Adam {
            beta_1,
            beta_2,
            epsilon,
            ..
        } => ("adam_update", all(0.0, 0.0, beta_1, beta_2, epsilon)),
    };
    let nesterov = matches!(optimizer.rule, UpdateRule::Sgd { nesterov: true, .. });
    let numbers = numbers.map(|(name, value)| (name, value as f32));
    let cells = plan.layout.trainable / 4;
    let text = concat!(
        include_str!("../../../../shaders/partials.wgsl"),
        include_str!("../../../../shaders/update.wgsl")
    );
    let average = match optimizer.ema_momentum {
        Some(_) => include_str!("../../../../shaders/average.wgsl"),
        None => "fn move_average(i: u32, w: Cell) {}\n",
    };
    let rate = rate(plan, update);
    let call = Call::new(entry, format!("{text}\n{average}\n{rate}"), tuning.untiled)
        .cells(4)
        .numbers(&numbers)
        .sizes(&[
            ("LEN", cells),
            ("NESTEROV", usize::from(nesterov)),
            ("DECAYS", usize::from(optimizer.weight_decay != 0.0)),
            (
                "OVERWRITES",
                usize::from(optimizer.ema_overwrite_frequency.is_some()),
            ),
        ])
        .invocations(cells)
        .load(
            "blocks",
            Operand::Arena,
            Vector::words(4),
            tuning.image_copies,
        )
        .load(
            "gradients",
            Operand::Gradients,
            Vector::floats(4),
            tuning.image_copies,
        )
        .load(
            "partials",
            Operand::Partials(0),
            Vector::floats(4),
            tuning.image_copies,
        )
        .update("params", Operand::Params, tuning.image_copies)
        .update("moment_1", Operand::Moment1, tuning.image_copies)
        .update("moment_2", Operand::Moment2, tuning.image_copies);
    match optimizer.ema_momentum {
        Some(_) => call.update("average", Operand::Average, tuning.image_copies),
        None => call,
    }
}
