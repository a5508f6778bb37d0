//! How long each dispatch of a step takes.

use std::iter::repeat_n;
use std::time::Instant;

use super::device::GpuDevice;
use super::dispatch::Dispatch;
use super::program::GpuProgram;
use super::recorder::Recorder;
use super::steps::Steps;
use super::timer::Timer;
use crate::error::Result;
use crate::exec::{Clock, DataId, Part, Profile, median};

/// Times the dispatches of a step, whose values lie in slot 0.
pub fn measure(
    gpu: &GpuDevice,
    steps: &Steps,
    (program, data): (&GpuProgram, DataId),
    repeats: usize,
) -> Result<Profile> {
    let listed: Vec<_> = program.step_by_op(data).collect();
    let dispatches: Vec<_> = listed.iter().map(|(_, dispatch)| *dispatch).collect();
    // Drivers compile at the first dispatch.
    gpu.submit_now(steps, dispatches.iter().copied());
    gpu.wait(None)?;
    let repeats = repeats.max(1);
    let (clock, seconds) = match by_timestamps(gpu, steps, &dispatches, repeats)? {
        Some(seconds) => (Clock::Timestamps, seconds),
        None => (
            Clock::DispatchesAlone,
            alone(gpu, steps, &dispatches, repeats)?,
        ),
    };
    let parts = (listed.iter().zip(seconds).enumerate())
        .map(|(at, ((_, dispatch), seconds))| Part {
            name: dispatch.entry,
            ops: covered(program, &listed, at),
            seconds,
        })
        .collect();
    Ok(Profile { clock, parts })
}

/// The operations that the dispatch at this place does: its operation and those fused into it, unless
/// it only helps another dispatch of that operation.
fn covered(program: &GpuProgram, listed: &[(usize, &Dispatch)], at: usize) -> Vec<usize> {
    let op = listed[at].0;
    let name = program.plan.ops[op].name();
    let named = listed.iter().position(|(i, d)| *i == op && d.entry == name);
    let main = named.or_else(|| listed.iter().rposition(|(i, _)| *i == op));
    let fused = program.fused_into.iter().enumerate();
    match main == Some(at) {
        true => fused
            .filter(|(_, into)| **into == Some(op))
            .map(|(i, _)| i)
            .collect(),
        false => Vec::new(),
    }
}

/// The median of each dispatch over whole steps; `None` if the adapter's clock is no help.
fn by_timestamps(
    gpu: &GpuDevice,
    steps: &Steps,
    dispatches: &[&Dispatch],
    repeats: usize,
) -> Result<Option<Vec<f64>>> {
    let Some(timer) = Timer::new(gpu, dispatches.len())? else {
        return Ok(None);
    };
    let mut times = vec![Vec::new(); dispatches.len()];
    for _ in 0..repeats {
        let mut recorder = Recorder::new(gpu, steps);
        for (i, dispatch) in dispatches.iter().enumerate() {
            recorder.timed(dispatch, &timer, i);
        }
        let commands = recorder.finish(|encoder| timer.resolve(encoder));
        gpu.queue.submit([commands]);
        for (times, seconds) in times.iter_mut().zip(timer.seconds(gpu)?) {
            times.push(seconds);
        }
    }
    let seconds: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    Ok(seconds.iter().any(|s| *s > 0.0).then_some(seconds))
}

/// Each dispatch many times in a submission, by wall clock.
fn alone(
    gpu: &GpuDevice,
    steps: &Steps,
    dispatches: &[&Dispatch],
    repeats: usize,
) -> Result<Vec<f64>> {
    let time = |dispatch: &&Dispatch| -> Result<f64> {
        let started = Instant::now();
        gpu.submit_now(steps, repeat_n(*dispatch, repeats));
        gpu.wait(None)?;
        Ok(started.elapsed().as_secs_f64() / repeats as f64)
    };
    dispatches.iter().map(time).collect()
}
