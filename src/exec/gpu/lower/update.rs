//! The calls that sum partial gradients and take the optimizer's step.

use std::ops::Range;

use super::super::call::{Call, Vector};
use super::super::operand::Operand;
use super::super::tuning::Tuning;
use crate::optimizer::{Optimizer, UpdateRule};
use crate::plan::Plan;

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

pub(super) fn call(plan: &Plan, tuning: &Tuning, optimizer: &Optimizer) -> Call<Operand> {
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
    let call = Call::new(entry, format!("{text}\n{average}"), tuning.untiled)
        .cells(4)
        .numbers(&numbers)
        .sizes(&[
            ("LEN", cells),
            ("NESTEROV", usize::from(nesterov)),
            ("DECAYS", usize::from(optimizer.weight_decay != 0.0)),
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
