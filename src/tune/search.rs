//! The values that are tried, one after the other.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::contender::{Contender, tried};
use super::first_steps::FirstSteps;
use crate::error::{Error, Result};
use crate::exec::gpu::tuning::Tuning;
use crate::exec::gpu::{GpuDevice, Knob};
use crate::model::Sequential;

/// A faster step must be faster by this much to be kept, twice: less is noise.
pub(super) const CLEAR: f64 = 1.02;
/// A step that is slower by less than this may lie before a faster one in the same direction.
const LEVEL: f64 = 0.97;
/// The time for measuring one value, in addition to compiling its kernels.
const PER_VALUE: Duration = Duration::from_millis(250);

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
    /// It changes no kernel of this model, or the adapter cannot have it.
    Unchanged,
    /// Its results differ from those of the plain kernels, or the driver fails with its kernels.
    Refused {
        /// How.
        why: String,
    },
}

/// A search for faster kernels.
pub(super) struct KernelSearch<'a> {
    pub gpu: GpuDevice,
    pub network: (&'a Sequential, usize),
    pub best: Contender,
    /// What the plain kernels compute.
    pub expected: FirstSteps,
    pub deadline: Instant,
    pub trials: Vec<TuningTrial>,
    /// The time spent on values that were measured, and their number.
    pub spent: (Duration, u32),
}

impl KernelSearch<'_> {
    /// Whether there is time for another value. There is for the first.
    fn has_time(&self) -> bool {
        let (spent, count) = self.spent;
        count == 0 || Instant::now() + spent / count <= self.deadline
    }

    /// Tries larger values of a setting as long as they are faster, or else smaller ones; whether the
    /// time sufficed.
    pub fn climb(&mut self, knob: &Knob, listener: &mut dyn FnMut(&TuningTrial)) -> Result<bool> {
        for is_up in [true, false] {
            let start = self.best.tuning;
            let (mut value, mut is_level) = (knob.value(&start), false);
            while let Some(next) = knob.neighbour(value, is_up) {
                value = next;
                if !self.has_time() {
                    return Ok(false);
                }
                let outcome = self.outcome(knob, value)?;
                let goes_on = match outcome {
                    TrialOutcome::Measured { kept: true, .. } | TrialOutcome::Unchanged => true,
                    TrialOutcome::Measured { speed, .. } => {
                        speed > LEVEL && !std::mem::replace(&mut is_level, true)
                    }
                    TrialOutcome::Refused { .. } => false,
                };
                let trial = TuningTrial {
                    setting: knob.name,
                    value,
                    outcome,
                };
                listener(&trial);
                self.trials.push(trial);
                if !goes_on {
                    break;
                }
            }
            if self.best.tuning != start {
                break;
            }
        }
        Ok(true)
    }

    /// Tries a value.
    fn outcome(&mut self, knob: &Knob, value: usize) -> Result<TrialOutcome> {
        let started = Instant::now();
        let tuning = self.gpu.possible(self.best.tuning.turned(knob, value));
        // A value beyond the adapter's limits was bounded to another, which may be none of the setting's.
        let is_possible = knob.value(&tuning) == value;
        if !is_possible || tuning.runs_like(&self.best.tuning, self.best.workload.plan()) {
            return Ok(TrialOutcome::Unchanged);
        }
        let outcome = match self.measured(tuning) {
            Ok(outcome) => outcome,
            Err(error) => self.recovered(error, &format!("{} {value}", knob.name))?,
        };
        self.spent.0 += started.elapsed();
        self.spent.1 += 1;
        Ok(outcome)
    }

    fn measured(&mut self, tuning: Tuning) -> Result<TrialOutcome> {
        let (mut contender, steps) = Contender::new(&self.gpu, tuning, self.network)?;
        if let Some(why) = steps.difference(&self.expected) {
            return Ok(TrialOutcome::Refused { why });
        }
        let mut speed = || {
            let pair = [&mut self.best.workload, &mut contender.workload];
            tried(pair, PER_VALUE).map(|[best, other]| best / other)
        };
        let mut found = speed()?;
        if found >= CLEAR {
            // Of many comparisons some are won by chance.
            found = found.min(speed()?);
        }
        let kept = found >= CLEAR;
        if kept {
            self.best = contender;
        }
        Ok(TrialOutcome::Measured { speed: found, kept })
    }

    /// Replaces a lost device.
    pub fn reopen(&mut self) -> Result<()> {
        self.gpu = self.gpu.reopen()?;
        let (best, _) = Contender::new(&self.gpu, self.best.tuning, self.network)?;
        self.best = best;
        Ok(())
    }

    /// Goes on after a value with which the device failed, if it can.
    fn recovered(&mut self, error: Error, what: &str) -> Result<TrialOutcome> {
        let why = error.to_string();
        match error {
            Error::DeviceLost(_) => self.reopen()?,
            Error::DeviceHung(why) => {
                return Err(Error::DeviceHung(format!(
                    "{why}; the kernels were those of {what}"
                )));
            }
            // What else the device reported belongs to this value, too.
            _ => self.gpu.forget_faults(),
        }
        Ok(TrialOutcome::Refused { why })
    }
}
