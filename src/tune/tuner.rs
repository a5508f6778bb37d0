//! A whole search and its result.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::contender::{Contender, step_seconds};
use super::first_steps::FirstSteps;
use super::search::{CLEAR, KernelSearch, TuningTrial};
use crate::error::{Error, Result};
use crate::exec::gpu::{GpuDevice, KNOBS};
use crate::exec::{Device, KernelChoice};
use crate::model::Sequential;

/// The share of the time for comparing the result with the default once more.
const AT_THE_END: f64 = 0.15;

/// Searches for the kernels with which a GPU trains a model fastest.
pub struct Tuner<'a> {
    gpu: &'a GpuDevice,
    model: &'a Sequential,
    batch: usize,
}

/// The result of a search.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TuningReport {
    /// The settings that differ from those of the adapter's class; empty if these are the fastest.
    pub kernels: KernelChoice,
    /// The median duration of a step with the class's kernels.
    pub default_seconds: f64,
    /// The same with the chosen kernels, measured in turn.
    pub tuned_seconds: f64,
    /// What was tried, in order.
    pub trials: Vec<TuningTrial>,
    /// The settings for whose values there was no time, or not for all.
    pub untried: Vec<&'static str>,
    /// The duration of the search.
    pub seconds: f64,
}

impl TuningReport {
    /// The speed with the chosen kernels relative to that with the class's own.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.default_seconds / self.tuned_seconds
    }
}

impl<'a> Tuner<'a> {
    /// A search on `device` for training `model` in batches of `batch` images.
    ///
    /// # Errors
    /// The device is the CPU, which has no kernels to choose from.
    pub fn new(device: &'a Device, model: &'a Sequential, batch: usize) -> Result<Self> {
        let gpu = device.gpu().ok_or_else(|| {
            let message = "the CPU has no kernels to tune: expected a GPU (--backend vulkan, metal, dx12 \
                           or gl)";
            Error::Argument(message.into())
        })?;
        Ok(Self { gpu, model, batch })
    }

    /// Tries the neighbouring values of one setting after the other within about `time`, each on top
    /// of the best of those before it, goes on in a direction that is faster, and calls `listener`
    /// after each. Begins with the kernels of `start`, an earlier choice. The choice is empty unless
    /// a last comparison shows that it is faster than the class's kernels.
    ///
    /// # Errors
    /// The device cannot run the model, or fails; its kernels are wrong even without tuning.
    pub fn run(
        &self,
        start: &KernelChoice,
        time: Duration,
        listener: &mut dyn FnMut(&TuningTrial),
    ) -> Result<TuningReport> {
        let started = Instant::now();
        let (best, expected) = self.begin(start)?;
        let mut search = KernelSearch {
            gpu: self.gpu.clone(),
            network: (self.model, self.batch),
            best,
            expected,
            deadline: started + time.mul_f64(1.0 - AT_THE_END),
            trials: Vec::new(),
            spent: (Duration::ZERO, 0),
        };
        let mut untried = Vec::new();
        for knob in &KNOBS {
            if !search.climb(knob, listener)? {
                untried.push(knob.name);
            }
        }
        let time = time.mul_f64(AT_THE_END);
        let confirmed = match confirmed(&mut search, time) {
            Err(Error::DeviceLost(_)) => {
                search.reopen()?;
                confirmed(&mut search, time)
            }
            other => other,
        };
        let (kernels, [default_seconds, tuned_seconds]) = confirmed?;
        Ok(TuningReport {
            kernels,
            default_seconds,
            tuned_seconds,
            trials: search.trials,
            untried,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// The first kernels, and what the plain ones compute.
    fn begin(&self, start: &KernelChoice) -> Result<(Contender, FirstSteps)> {
        let network = (self.model, self.batch);
        let class = self.gpu.with_kernels(&KernelChoice::default())?.tuning();
        let (_, expected) = Contender::new(self.gpu, class.plain(), network)?;
        let earlier = self.gpu.with_kernels(start)?.tuning();
        if earlier != class
            && let Ok((earlier, steps)) = Contender::new(self.gpu, earlier, network)
            && steps.difference(&expected).is_none()
        {
            return Ok((earlier, expected));
        }
        let (best, steps) = Contender::new(self.gpu, class, network)?;
        match steps.difference(&expected) {
            None => Ok((best, expected)),
            Some(how) => Err(Error::device(format!(
                "the default kernels and the plain ones compute different steps: {how}; `cnn-gpu selfcheck` says \
                 which are wrong"
            ))),
        }
    }
}

/// Compares the best choice with the class's once more.
fn confirmed(search: &mut KernelSearch<'_>, time: Duration) -> Result<(KernelChoice, [f64; 2])> {
    let KernelSearch {
        gpu, network, best, ..
    } = search;
    let kernels = gpu.with_tuning(best.tuning).kernels();
    if kernels.is_empty() {
        let seconds = best.workload.step(time)?.seconds;
        return Ok((kernels, [seconds; 2]));
    }
    let class = gpu.with_kernels(&KernelChoice::default())?.tuning();
    let (mut default, _) = Contender::new(gpu, class, *network)?;
    let seconds = step_seconds([&mut default.workload, &mut best.workload], time)?;
    match seconds[0] / seconds[1] >= CLEAR {
        true => Ok((kernels, seconds)),
        false => Ok((KernelChoice::default(), [seconds[0]; 2])),
    }
}
