//! A training step with a choice of kernels.

use std::time::{Duration, Instant};

use crate::bench::Workload;
use crate::error::Result;
use crate::exec::gpu::GpuDevice;
use crate::exec::gpu::tuning::Tuning;
use crate::exec::{Device, StepMetrics, median};
use crate::model::Sequential;
use crate::state::State;

/// Minimum duration of a sample, which makes the wait at its end negligible.
const SAMPLE: Duration = Duration::from_millis(20);
/// The fewest samples of each for a median.
const FEWEST: usize = 5;
/// After as many samples, a step that is this much slower is given up.
const GIVEN_UP: (usize, f64) = (2, 1.3);
/// The largest difference between gradients of correct kernels, relative to the largest value of the
/// parameter's gradient. Sums of another order differ by some 1e-6; where a pool or a ReLU decides
/// between numbers that are equal but for that, one gradient of thousands takes another way.
const TOLERANCE: f64 = 1e-3;
/// The same relative to the largest value of all gradients, for gradients that are zero but for
/// rounding, such as that of a bias before a batch normalization.
const NOISE: f64 = 1e-6;

/// A training step with a choice of kernels.
pub(super) struct Contender {
    pub tuning: Tuning,
    pub workload: Workload,
}

/// What the first step of a contender computed.
pub(super) struct FirstStep {
    metrics: StepMetrics,
    state: State,
}

impl Contender {
    /// Compiles the step, and runs it once.
    pub fn new(
        gpu: &GpuDevice,
        tuning: Tuning,
        (model, batch): (&Sequential, usize),
    ) -> Result<(Self, FirstStep)> {
        let device = Device::of_gpu(gpu.with_tuning(tuning), "tried by `tune`");
        let mut workload = Workload::new(&device, model, batch)?;
        let (metrics, state) = workload.observed()?;
        Ok((Self { tuning, workload }, FirstStep { metrics, state }))
    }
}

impl FirstStep {
    /// How it differs from the same step with other kernels by more than rounding, if it does. The
    /// first moment after one step is the gradient, times a constant.
    pub fn difference(&self, expected: &Self) -> Option<String> {
        let [found, wanted] = [self, expected].map(|step| f64::from(step.metrics.loss_sum));
        if !is_close(found, wanted, TOLERANCE * wanted.abs()) {
            return Some(format!("the loss is {found}, expected {wanted}"));
        }
        let largest = |values: &[f32]| {
            values
                .iter()
                .fold(0.0, |most: f64, v| most.max(f64::from(v.abs())))
        };
        let noise = NOISE * largest(&expected.state.m);
        let parameters = expected.state.layout.parameters.iter();
        parameters
            .filter(|parameter| parameter.trainable)
            .find_map(|parameter| {
                let [a, b] = [self, expected]
                    .map(|step| step.state.m.get(parameter.range()).unwrap_or_default());
                let allowed = TOLERANCE * largest(b) + noise;
                let wrong = a
                    .iter()
                    .zip(b)
                    .position(|(a, b)| !is_close((*a).into(), (*b).into(), allowed));
                let message = |at: usize| {
                    format!(
                        "element {at} of the gradient of `{}` is off by more than rounding",
                        parameter.name
                    )
                };
                match a.len() == b.len() {
                    true => wrong.map(message),
                    false => Some(format!("the gradient of `{}` is missing", parameter.name)),
                }
            })
    }
}

/// Whether two numbers differ by at most `allowed`; not if one is NaN.
fn is_close(a: f64, b: f64, allowed: f64) -> bool {
    a == b || (a - b).abs() <= allowed
}

/// The speed of `b` relative to `a`: runs both in turn within about `budget`, at least five times each,
/// and compares the medians. A `b` that is clearly slower is measured only twice.
///
/// # Errors
/// The device fails.
pub fn relative_speed([a, b]: [&mut Workload; 2], budget: Duration) -> Result<f64> {
    // Once more before measuring: caches and clocks.
    b.run(1)?;
    let mut steps = 1;
    while a.run(steps)? < SAMPLE.as_secs_f64() && steps < 1 << 20 {
        steps *= 2;
    }
    let started = Instant::now();
    let mut times = [Vec::new(), Vec::new()];
    let ratio = |times: &[Vec<f64>; 2]| {
        let [a, b] = times.clone().map(|mut times| median(&mut times));
        a / b
    };
    while times[0].len() < FEWEST || started.elapsed() < budget {
        times[0].push(a.run(steps)?);
        times[1].push(b.run(steps)?);
        let (samples, slower) = GIVEN_UP;
        if times[0].len() == samples && ratio(&times) * slower < 1.0 {
            break;
        }
    }
    Ok(ratio(&times))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preset;
    use crate::state::Layout;

    fn step(change: impl FnOnce(&mut FirstStep)) -> FirstStep {
        let layout = Layout::new(&preset("mnist-mlp").unwrap()).unwrap();
        let mut state = State::new(layout, 1);
        state.m = state.params.clone();
        let metrics = StepMetrics::new(2.5, 1, 8);
        let mut step = FirstStep { metrics, state };
        change(&mut step);
        step
    }

    #[test]
    fn only_more_than_rounding_is_a_difference() {
        let expected = step(|_| {});
        let difference = |change: fn(&mut FirstStep)| step(change).difference(&expected);
        assert_eq!(difference(|_| {}), None);
        assert_eq!(difference(|step| step.state.m[3] += 1e-6), None);
        let wrong = difference(|step| step.state.m[3] += 1e-2).unwrap();
        assert!(
            wrong.starts_with("element 3 of the gradient of `dense/kernel`"),
            "{wrong}"
        );
        assert!(difference(|step| step.state.m[0] = f32::NAN).is_some());
        assert!(
            difference(|step| step.state.m.clear())
                .unwrap()
                .ends_with("is missing")
        );
        assert!(difference(|step| step.metrics.loss_sum = f32::NAN).is_some());
        // Biases begin at zero here, and so does their gradient: noise is no difference.
        assert_eq!(
            difference(|step| {
                let range = step.state.layout.parameters[1].range();
                step.state.m[range.start] = 1e-8;
            }),
            None
        );
    }
}
