//! Compares a short training run on two executors. It covers what single operations cannot: fused
//! kernels, the order of dispatches, and submissions of many steps.

use serde::Serialize;

use super::Factory;
use crate::data::digits;
use crate::error::Result;
use crate::exec::{BatchPart, GradientSum, Step, StepMetrics};
use crate::model::preset;
use crate::optimizer::Optimizer;
use crate::plan::{Plan, Purpose};
use crate::rng::Key;
use crate::state::{Layout, State};

/// Steps of the run; the last batch is short.
const STEPS: usize = 20;
/// Images in a step.
const BATCH: usize = 32;
/// Images missing from the last batch.
const LACKING: usize = 5;
/// Rounding differences grow during training: about 1e-6 after one step, 1e-4 after twenty.
const TOLERANCE: f64 = 2e-3;

/// The difference between two training runs.
#[derive(Clone, Debug, Serialize)]
pub struct Trajectory {
    /// The number of steps.
    pub steps: usize,
    /// The largest `|a - b| / |b|` of a step's loss; infinite if a loss is not finite.
    pub loss_error: f64,
    /// `|a - b| / |b|` of all weights at the end.
    pub weights_error: f64,
    /// The largest value allowed for both.
    pub tolerance: f64,
}

impl Trajectory {
    /// Whether both runs agree.
    pub fn passes(&self) -> bool {
        self.loss_error <= self.tolerance && self.weights_error <= self.tolerance
    }
}

/// Trains `mnist-cnn` for twenty steps on built-in digits, from the same weights, on the executor
/// under test (`found`) and on a trusted one (`expected`).
///
/// # Errors
/// One of the executors failed, or wrote outside its buffers.
pub fn trajectory(found: Factory<'_>, expected: Factory<'_>) -> Result<Trajectory> {
    let (a, b) = (run(found)?, run(expected)?);
    let losses = a.0.iter().zip(&b.0).map(|(a, b)| {
        let (a, b) = (f64::from(a.loss_sum), f64::from(b.loss_sum));
        finite((a - b).abs() / b.abs())
    });
    let distance = |f: &dyn Fn(f64, f64) -> f64| {
        let pairs = a.1.params.iter().zip(&b.1.params);
        let sum: f64 = pairs.map(|(&a, &b)| f(a.into(), b.into()).powi(2)).sum();
        sum.sqrt()
    };
    Ok(Trajectory {
        steps: a.0.len(),
        loss_error: losses.fold(0.0, f64::max),
        weights_error: finite(distance(&|a, b| a - b) / distance(&|_, b| b)),
        tolerance: TOLERANCE,
    })
}

/// The error, or infinity in place of NaN, which `f64::max` would drop.
fn finite(error: f64) -> f64 {
    if error.is_finite() {
        error
    } else {
        f64::INFINITY
    }
}

fn run(factory: Factory<'_>) -> Result<(Vec<StepMetrics>, State)> {
    let optimizer = Optimizer::adam();
    let model = preset("mnist-cnn").ok_or_else(|| crate::Error::Argument("no preset".into()))?;
    let layout = Layout::new(&model)?;
    let mut executor = factory(layout.clone());
    let images = STEPS * BATCH - LACKING;
    let data = executor.load(&digits::generate(images, 1, 0))?;
    let plan = Plan::new(&model, Purpose::Training(optimizer), BATCH)?;
    let program = executor.compile(&plan)?;
    let mut state = State::new(layout, 1);
    executor.upload(&state)?;
    for (t, offset) in (0..images).step_by(BATCH).enumerate() {
        let rows = BATCH.min(images - offset);
        executor.enqueue(&Step {
            program,
            data,
            offset,
            rows,
            rates: optimizer.rates(t as u64 + 1),
            key: Key::of_step(1, t as u64 + 1),
            part: BatchPart::whole(rows),
            sum: GradientSum::default(),
        })?;
    }
    let metrics = executor.completed(true)?;
    executor.intact(program)?;
    executor.download(&mut state)?;
    Ok((metrics, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::cpu::{Cpu, CpuExecutor};
    use crate::exec::null::NullExecutor;

    fn idle() -> NullExecutor {
        NullExecutor::new(std::iter::repeat_n((1.0, 0.5), STEPS))
    }

    #[test]
    fn agrees_with_itself_and_not_with_an_executor_that_does_nothing() {
        let cpu: Factory<'_> = &|layout| Box::new(CpuExecutor::new(Cpu::new(), layout));
        let same = trajectory(cpu, cpu).unwrap();
        assert_eq!((same.loss_error, same.weights_error), (0.0, 0.0));
        let idle = trajectory(&|_| Box::new(idle()), cpu).unwrap();
        assert!(!idle.passes(), "{idle:?}");
    }
}
