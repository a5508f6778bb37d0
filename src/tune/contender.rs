//! A training step with a choice of kernels, and its speed next to another.

use std::time::{Duration, Instant};

use super::first_steps::FirstSteps;
use crate::bench::Workload;
use crate::error::Result;
use crate::exec::gpu::GpuDevice;
use crate::exec::gpu::tuning::Tuning;
use crate::exec::{Device, median};
use crate::model::Sequential;

/// Minimum duration of a sample, which makes the wait at its end negligible.
const SAMPLE: Duration = Duration::from_millis(20);
/// The fewest samples of each, unless steps are slow.
const FEWEST: usize = 5;
/// After as many samples, one whose fastest step is slower than the other's by this much is given up.
const GIVEN_UP: (usize, f64) = (3, 1.3);

/// A training step with a choice of kernels.
pub(super) struct Contender {
    pub tuning: Tuning,
    pub workload: Workload,
}

impl Contender {
    /// Compiles the step, and runs it a few times.
    pub fn new(
        gpu: &GpuDevice,
        tuning: Tuning,
        (model, batch): (&Sequential, usize),
    ) -> Result<(Self, FirstSteps)> {
        let device = Device::of_gpu(gpu.with_tuning(tuning), "tried by `tune`");
        let mut workload = Workload::new(&device, model, batch)?;
        let steps = FirstSteps::of(&mut workload)?;
        Ok((Self { tuning, workload }, steps))
    }
}

/// The median duration of a step of each, in seconds: runs both in turn for about `budget`.
///
/// # Errors
/// The device fails.
pub fn step_seconds(pair: [&mut Workload; 2], budget: Duration) -> Result<[f64; 2]> {
    alternate(pair, budget, |_| false)
}

/// Like [`step_seconds`], but gives up on a second one that is clearly slower.
///
/// # Errors
/// The device fails.
pub(super) fn tried(pair: [&mut Workload; 2], budget: Duration) -> Result<[f64; 2]> {
    alternate(pair, budget, |[a, b]: &[Vec<f64>; 2]| {
        let fastest = |times: &[f64]| times.iter().copied().fold(f64::INFINITY, f64::min);
        a.len() == GIVEN_UP.0 && fastest(b) > GIVEN_UP.1 * fastest(a)
    })
}

fn alternate(
    [a, b]: [&mut Workload; 2],
    budget: Duration,
    is_enough: impl Fn(&[Vec<f64>; 2]) -> bool,
) -> Result<[f64; 2]> {
    // Once more before measuring: caches and clocks.
    b.run(1)?;
    let mut steps = 1;
    while a.run(steps)? < SAMPLE.as_secs_f64() && steps < 1 << 20 {
        steps *= 2;
    }
    let started = Instant::now();
    let mut times = [Vec::new(), Vec::new()];
    loop {
        times[0].push(a.run(steps)? / steps as f64);
        times[1].push(b.run(steps)? / steps as f64);
        let (count, elapsed) = (times[0].len(), started.elapsed());
        // Slow steps are measured less often.
        let is_done = elapsed >= budget && (count >= FEWEST || elapsed >= 4 * budget);
        if is_done || is_enough(&times) {
            return Ok(times.map(|mut times| median(&mut times)));
        }
    }
}
