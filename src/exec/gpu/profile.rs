//! Times of the dispatches of a step.

use std::iter::repeat_n;
use std::time::{Duration, Instant};

use super::device::GpuDevice;
use super::dispatch::Dispatch;
use super::program::GpuProgram;
use super::recorder::Recorder;
use super::steps::Steps;
use super::timer::Timer;
use crate::error::Result;
use crate::exec::profile::repeat_within;
use crate::exec::{Clock, DataId, Profile, ProfileEntry, median};

/// A longer step is timed with one submission per dispatch: drivers reset a device after a
/// submission of two seconds or more.
const LONG: Duration = Duration::from_millis(500);
/// Maximum duration of a submission that repeats one dispatch.
const MAX_ALONE: Duration = Duration::from_millis(100);
/// Maximum repetitions of one dispatch.
const MAX_REPEATS: f64 = 1000.0;

/// Times the dispatches of a step, whose values lie in slot 0.
pub fn measure(
    gpu: &GpuDevice,
    steps: &Steps,
    (program, data): (&GpuProgram, DataId),
    budget: Duration,
) -> Result<Profile> {
    let listed: Vec<_> = program.step_by_op(data).collect();
    let dispatches: Vec<_> = listed.iter().map(|(_, dispatch)| *dispatch).collect();
    // Some drivers compile a kernel when it first runs.
    submit_one_by_one(gpu, steps, &dispatches)?;
    let started = Instant::now();
    submit_one_by_one(gpu, steps, &dispatches)?;
    let in_one = started.elapsed() < LONG;
    let timed = by_timestamps(gpu, steps, &dispatches, (budget, in_one))?;
    let (clock, seconds) = if let Some(seconds) = timed {
        (Clock::Timestamps, seconds)
    } else {
        let seconds = alone(gpu, steps, &dispatches, budget)?;
        (Clock::DispatchesAlone, seconds)
    };
    let entries = (listed.iter().zip(seconds).enumerate())
        .map(|(at, ((_, dispatch), seconds))| ProfileEntry {
            name: dispatch.entry,
            ops: covered(program, &listed, at),
            seconds,
        })
        .collect();
    Ok(Profile { clock, entries })
}

/// Runs dispatches in separate submissions and waits for them.
fn submit_one_by_one(gpu: &GpuDevice, steps: &Steps, dispatches: &[&Dispatch]) -> Result<()> {
    for dispatch in dispatches {
        gpu.submit_now(steps, std::iter::once(*dispatch));
    }
    gpu.wait(None)
}

/// The operations that the dispatch at index `at` computes: its own and those fused into it. None
/// if it only helps another dispatch of that operation.
fn covered(program: &GpuProgram, listed: &[(usize, &Dispatch)], at: usize) -> Vec<usize> {
    let op = listed[at].0;
    let name = program.plan.ops[op].name();
    let named = listed.iter().position(|(i, d)| *i == op && d.entry == name);
    let main = named.or_else(|| listed.iter().rposition(|(i, _)| *i == op));
    let fused = program.fused_into.iter().enumerate();
    if main == Some(at) {
        fused
            .filter(|(_, into)| **into == Some(op))
            .map(|(i, _)| i)
            .collect()
    } else {
        Vec::new()
    }
}

/// The median time of each dispatch over whole steps, each step in one submission or one per
/// dispatch; `None` if the adapter has no usable clock.
fn by_timestamps(
    gpu: &GpuDevice,
    steps: &Steps,
    dispatches: &[&Dispatch],
    (budget, in_one): (Duration, bool),
) -> Result<Option<Vec<f64>>> {
    let Some(timer) = Timer::new(gpu, dispatches.len())? else {
        return Ok(None);
    };
    let mut times = vec![Vec::new(); dispatches.len()];
    let per_submission = if in_one { dispatches.len() } else { 1 };
    repeat_within(budget, || {
        let numbered: Vec<_> = dispatches.iter().enumerate().collect();
        for part in numbered.chunks(per_submission.max(1)) {
            let mut recorder = Recorder::new(gpu, steps);
            for (i, dispatch) in part {
                recorder.timed(dispatch, &timer, *i);
            }
            gpu.queue.submit([recorder.finish(|_| {})]);
        }
        let recorder = Recorder::new(gpu, steps);
        gpu.queue
            .submit([recorder.finish(|encoder| timer.resolve(encoder))]);
        for (times, seconds) in times.iter_mut().zip(timer.seconds(gpu)?) {
            times.push(seconds);
        }
        Ok(())
    })?;
    let seconds: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    Ok(seconds.iter().any(|s| *s > 0.0).then_some(seconds))
}

/// The time of each dispatch by wall clock, repeated in one submission as often as fits in its
/// share of the budget.
fn alone(
    gpu: &GpuDevice,
    steps: &Steps,
    dispatches: &[&Dispatch],
    budget: Duration,
) -> Result<Vec<f64>> {
    let share = (budget / dispatches.len().max(1) as u32).min(MAX_ALONE);
    let time = |dispatch: &Dispatch, repeats: usize| -> Result<f64> {
        let started = Instant::now();
        gpu.submit_now(steps, repeat_n(dispatch, repeats));
        gpu.wait(None)?;
        Ok(started.elapsed().as_secs_f64() / repeats as f64)
    };
    let times = dispatches.iter().map(|dispatch| {
        let once = time(dispatch, 1)?;
        let repeats = (share.as_secs_f64() / once).clamp(1.0, MAX_REPEATS);
        time(dispatch, repeats as usize)
    });
    times.collect()
}
