//! The search for the fastest kernels.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::contender::{Contender, FirstStep, relative_speed};
use crate::bench::StepTime;
use crate::error::{Error, Result};
use crate::exec::gpu::tuning::Tuning;
use crate::exec::gpu::{GpuDevice, KNOBS, Knob};
use crate::exec::{Device, KernelChoice};
use crate::model::Sequential;

/// A faster step must be faster by this much to be kept: less is noise.
const CLEAR: f64 = 1.02;
/// The share of the time for comparing the result with the default once more.
const AT_THE_END: f64 = 0.15;
/// The time for measuring one value, in addition to compiling its kernels.
const PER_VALUE: Duration = Duration::from_millis(250);

/// Searches for the kernels with which a GPU trains a model fastest.
pub struct Tuner<'a> {
    gpu: &'a GpuDevice,
    model: &'a Sequential,
    batch: usize,
}

/// A value of a setting that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TuningTrial {
    /// The setting.
    pub setting: &'static str,
    /// The value.
    pub value: usize,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: TrialOutcome,
}

/// What came of a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum TrialOutcome {
    /// It was measured.
    Measured {
        /// The speed of a step relative to the best choice so far.
        speed: f64,
        /// Whether it is clearly faster, and part of the best choice from here on.
        kept: bool,
    },
    /// It changes no kernel of this model.
    Unchanged,
    /// Its results differ from those of the plain kernels, or the driver refuses its kernels.
    Refused {
        /// How.
        why: String,
    },
}

/// The result of a search.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TuningReport {
    /// The settings that differ from those of the adapter's class; empty if these are the fastest.
    pub kernels: KernelChoice,
    /// A step with the class's kernels.
    pub default: StepTime,
    /// A step with the chosen kernels.
    pub tuned: StepTime,
    /// What was tried, in order.
    pub trials: Vec<TuningTrial>,
    /// The settings for which there was no time.
    pub untried: Vec<&'static str>,
    /// The duration of the search.
    pub seconds: f64,
}

impl TuningReport {
    /// The speed with the chosen kernels relative to that with the class's own.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.default.seconds / self.tuned.seconds
    }
}

/// The state of a search.
struct TuningSearch<'a> {
    tuner: &'a Tuner<'a>,
    best: Contender,
    expected: FirstStep,
    deadline: Instant,
    /// The longest that a value has taken.
    longest: Duration,
    trials: Vec<TuningTrial>,
}

impl<'a> Tuner<'a> {
    /// A search on `device` for training `model` in batches of `batch` images.
    ///
    /// # Errors
    /// The device is the CPU, which has no kernels to choose from.
    pub fn new(device: &'a Device, model: &'a Sequential, batch: usize) -> Result<Self> {
        let gpu = device.gpu().ok_or_else(|| {
            let message = "the CPU has no kernels to tune: expected a GPU (--backend vulkan, metal, dx12 or gl)";
            Error::Argument(message.into())
        })?;
        Ok(Self { gpu, model, batch })
    }

    /// Tries the neighbouring values of one setting after the other within about `time`, each on top of
    /// the best of those before it, goes on in a direction that is faster, and calls `listener` after each. The choice is empty unless a last comparison confirms that it is faster than
    /// the class's.
    ///
    /// # Errors
    /// The device cannot run the model, or fails; its kernels are wrong even without tuning.
    pub fn run(
        &self,
        time: Duration,
        listener: &mut dyn FnMut(&TuningTrial),
    ) -> Result<TuningReport> {
        let started = Instant::now();
        let class = self.gpu.with_kernels(&KernelChoice::default())?;
        let network = (self.model, self.batch);
        let plain = Tuning {
            image_copies: false,
            ..Tuning::PLAIN
        };
        let (_, expected) = Contender::new(&class, plain, network)?;
        let (best, first) = Contender::new(&class, class.tuning(), network)?;
        if let Some(how) = first.difference(&expected) {
            let message = format!(
                "the kernels of this adapter are wrong: {how}; `cnn-gpu selfcheck` says more"
            );
            return Err(Error::device(message));
        }
        let mut search = TuningSearch {
            tuner: self,
            best,
            expected,
            deadline: started + time.mul_f64(1.0 - AT_THE_END),
            longest: Duration::ZERO,
            trials: Vec::new(),
        };
        let mut untried = Vec::new();
        for knob in &KNOBS {
            match search.has_time() {
                true => search.climb(knob, listener)?,
                false => untried.push(knob.name),
            }
        }
        let trials = std::mem::take(&mut search.trials);
        let (kernels, [default, tuned]) =
            self.confirmed(&class, search.best, time.mul_f64(AT_THE_END))?;
        Ok(TuningReport {
            kernels,
            default,
            tuned,
            trials,
            untried,
            seconds: started.elapsed().as_secs_f64(),
        })
    }

    /// Compares the best choice with the class's once more.
    fn confirmed(
        &self,
        class: &GpuDevice,
        mut best: Contender,
        time: Duration,
    ) -> Result<(KernelChoice, [StepTime; 2])> {
        let kernels = class.with_tuning(best.tuning).kernels();
        let (mut default, _) = Contender::new(class, class.tuning(), (self.model, self.batch))?;
        if kernels.is_empty() {
            let alone = default.workload.step(time)?;
            return Ok((kernels, [alone, alone]));
        }
        let pair = [&mut default.workload, &mut best.workload];
        let speed = relative_speed(pair, time / 2)?;
        let alone = default.workload.step(time / 2)?;
        if speed < CLEAR {
            return Ok((KernelChoice::default(), [alone, alone]));
        }
        Ok((kernels, [alone, alone.faster(speed)]))
    }
}

impl TuningSearch<'_> {
    /// Whether there is time for another value. There is for the first.
    fn has_time(&self) -> bool {
        self.longest.is_zero() || Instant::now() + self.longest <= self.deadline
    }

    /// Tries larger values of a setting as long as they are faster, or else smaller ones.
    fn climb(&mut self, knob: &Knob, listener: &mut dyn FnMut(&TuningTrial)) -> Result<()> {
        for is_up in [true, false] {
            let start = self.best.tuning;
            let mut value = knob.value(&start);
            while let Some(next) = knob.neighbour(value, is_up) {
                value = next;
                if !self.has_time() {
                    return Ok(());
                }
                let outcome = self.outcome(knob, value)?;
                let goes_on = match outcome {
                    TrialOutcome::Measured { kept, .. } => kept,
                    TrialOutcome::Unchanged => true,
                    TrialOutcome::Refused { .. } => false,
                };
                let setting = knob.name;
                self.trials.push(TuningTrial {
                    setting,
                    value,
                    outcome,
                });
                self.trials.last().into_iter().for_each(&mut *listener);
                if !goes_on {
                    break;
                }
            }
            if self.best.tuning != start {
                break;
            }
        }
        Ok(())
    }

    /// Tries a value.
    fn outcome(&mut self, knob: &Knob, value: usize) -> Result<TrialOutcome> {
        let started = Instant::now();
        let turned = self.best.tuning.turned(knob, value);
        let tuning = self.tuner.gpu.possible(turned);
        if tuning.runs_like(&self.best.tuning, self.best.workload.plan()) {
            return Ok(TrialOutcome::Unchanged);
        }
        let outcome = match self.measured(tuning) {
            // The device is gone, or works no more.
            Err(error @ (Error::DeviceLost(_) | Error::DeviceHung(_) | Error::NoAdapter(_))) => {
                return Err(error);
            }
            Err(error) => TrialOutcome::Refused {
                why: error.to_string(),
            },
            Ok(outcome) => outcome,
        };
        self.longest = self.longest.max(started.elapsed());
        Ok(outcome)
    }

    fn measured(&mut self, tuning: Tuning) -> Result<TrialOutcome> {
        let network = (self.tuner.model, self.tuner.batch);
        let (mut contender, first) = Contender::new(self.tuner.gpu, tuning, network)?;
        if let Some(why) = first.difference(&self.expected) {
            return Ok(TrialOutcome::Refused { why });
        }
        let speed = relative_speed(
            [&mut self.best.workload, &mut contender.workload],
            PER_VALUE,
        )?;
        let kept = speed >= CLEAR;
        if kept {
            self.best = contender;
        }
        Ok(TrialOutcome::Measured { speed, kept })
    }
}
