//! Where a step's time goes.

use std::time::Instant;

use super::{Inspect, Step};
use crate::error::Result;
use crate::plan::Plan;

/// How the times of a [`Profile`] were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Each dispatch in its place in whole steps, by the adapter's timestamps.
    Timestamps,
    /// Each dispatch of a step repeated by itself, by wall clock.
    DispatchesAlone,
    /// Each operation of the plan by itself, by wall clock. In a step neighbours share what is in
    /// cache, so that a step takes less than the sum.
    OperationsAlone,
}

/// The times of a step's parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// How they were taken.
    pub clock: Clock,
    /// The parts, in the order in which they run.
    pub parts: Vec<Part>,
}

/// A part of a step that is timed as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The kernel's name on a GPU, elsewhere the operation's.
    pub name: &'static str,
    /// The operations of the plan that it does. None for a helper, such as the sum of gradients
    /// that several operations left in parts.
    pub ops: Vec<usize>,
    /// The median of several.
    pub seconds: f64,
}

impl Profile {
    /// Each operation by itself, by wall clock.
    pub(super) fn of_operations<E: Inspect + ?Sized>(
        executor: &mut E,
        plan: &Plan,
        step: &Step,
        repeats: usize,
    ) -> Result<Self> {
        // What an operation reads is what its predecessors have left.
        executor.run(0..plan.ops.len(), step)?;
        let mut parts = Vec::new();
        for (i, op) in plan.ops.iter().enumerate() {
            executor.run(i..i + 1, step)?;
            let mut times = Vec::new();
            for _ in 0..repeats.max(1) {
                let started = Instant::now();
                executor.run(i..i + 1, step)?;
                times.push(started.elapsed().as_secs_f64());
            }
            executor.completed(true)?;
            parts.push(Part {
                name: op.name(),
                ops: vec![i],
                seconds: median(&mut times),
            });
        }
        Ok(Self {
            clock: Clock::OperationsAlone,
            parts,
        })
    }
}

/// The middle of some numbers; of an even count the upper of the two. Zero of none.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 4.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
