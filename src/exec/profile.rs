//! Where a step's time goes.

use std::time::{Duration, Instant};

use super::{Inspect, Step};
use crate::error::Result;
use crate::plan::Plan;

/// How the times of a [`Profile`] were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Clock {
    /// Each dispatch in its place in whole steps, by the adapter's timestamps.
    Timestamps,
    /// Each dispatch of a step repeated by itself, by wall clock.
    DispatchesAlone,
    /// Each operation of the plan by itself, by wall clock. Within a step neighbours share cached
    /// data, so a step takes less than the sum.
    OperationsAlone,
}

impl Clock {
    /// What was timed: `dispatch` or `operation`.
    pub fn unit(self) -> &'static str {
        match self {
            Self::OperationsAlone => "operation",
            Self::Timestamps | Self::DispatchesAlone => "dispatch",
        }
    }

    /// How the times were measured and what they mean, for readers of a table.
    pub fn explanation(self) -> &'static str {
        match self {
            Self::Timestamps => {
                "Each dispatch was timed within whole steps, by the adapter's timestamps."
            }
            Self::DispatchesAlone => {
                "Each dispatch was repeated on its own and timed by wall clock, as the adapter has no \
                 timestamps."
            }
            Self::OperationsAlone => {
                "Each operation was timed on its own, by wall clock. A whole step takes less than the \
                 sum, as it\npasses a few images through all operations while they are in cache."
            }
        }
    }
}

/// The times of a step's operations or dispatches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Profile {
    /// How they were taken.
    pub clock: Clock,
    /// One for each of them, in the order in which they run.
    pub entries: Vec<ProfileEntry>,
}

/// The time of an operation, or of a dispatch on a GPU.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ProfileEntry {
    /// The kernel's name on a GPU, elsewhere the operation's.
    pub name: &'static str,
    /// The operations of the plan that it computes. Empty for a helper, such as the sum of partial
    /// gradients of several operations.
    pub ops: Vec<usize>,
    /// The median of several runs.
    pub seconds: f64,
}

impl Profile {
    /// Each operation by itself, by wall clock.
    pub(super) fn of_operations<E: Inspect + ?Sized>(
        executor: &mut E,
        plan: &Plan,
        step: &Step,
        budget: Duration,
    ) -> Result<Self> {
        let share = budget / plan.ops.len().max(1) as u32;
        // Computes the inputs of each operation.
        executor.run(0..plan.ops.len(), step)?;
        let mut entries = Vec::new();
        for (i, op) in plan.ops.iter().enumerate() {
            executor.run(i..i + 1, step)?;
            let mut times = Vec::new();
            repeat_within(share, || {
                let started = Instant::now();
                executor.run(i..i + 1, step)?;
                times.push(started.elapsed().as_secs_f64());
                Ok(())
            })?;
            executor.completed(true)?;
            entries.push(ProfileEntry {
                name: op.name(),
                ops: vec![i],
                seconds: median(&mut times),
            });
        }
        Ok(Self {
            clock: Clock::OperationsAlone,
            entries,
        })
    }
}

/// Maximum number of repetitions within a budget.
const MAX_REPEATS: usize = 1000;

/// Calls `once` as often as fits in `budget`, at least once and at most a thousand times.
pub(super) fn repeat_within(budget: Duration, mut once: impl FnMut() -> Result<()>) -> Result<()> {
    let started = Instant::now();
    for _ in 0..MAX_REPEATS {
        let before = started.elapsed();
        once()?;
        let after = started.elapsed();
        if after + (after - before) > budget {
            break;
        }
    }
    Ok(())
}

/// The median of some numbers; of an even count the upper of the middle two. Zero if empty.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many runs of this duration fit within 40 ms.
    fn repeats(takes: Duration) -> usize {
        let mut count = 0;
        let repeated = repeat_within(Duration::from_millis(40), || {
            std::thread::sleep(takes);
            count += 1;
            Ok(())
        });
        repeated.unwrap();
        count
    }

    #[test]
    fn what_is_slow_is_repeated_less_often_than_what_is_fast() {
        assert_eq!(repeats(Duration::from_millis(60)), 1);
        let fast = repeats(Duration::from_micros(10));
        assert!((2..=MAX_REPEATS).contains(&fast), "{fast}");
        assert!(repeats(Duration::from_millis(15)) <= 2);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0]), 4.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
