//! A device's measured peak rates: the two sides of a roofline.

use std::time::{Duration, Instant};

use super::profile::repeat_within;
use crate::error::Result;

/// A device's measured limits.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Peak {
    /// Floating-point operations per second, in 1e9, of independent multiply-adds in registers; a
    /// multiply-add is two.
    pub gflops: f64,
    /// Bytes per second, in 1e9, of a copy in memory; each byte is counted as read and as written.
    pub gbytes_per_second: f64,
}

impl Peak {
    /// Limits in 1e9 floating-point operations and 1e9 bytes per second.
    pub fn new(gflops: f64, gbytes_per_second: f64) -> Self {
        Self {
            gflops,
            gbytes_per_second,
        }
    }

    /// Size in bytes of the copied array: larger than the caches.
    pub(super) const COPIED: usize = 128 << 20;

    /// The fraction of the roofline that some work reached: the larger of its arithmetic and its
    /// traffic at the device's limits, divided by its time. `None` without a time or without work.
    ///
    /// ```
    /// use cnn_gpu::exec::Peak;
    /// let peak = Peak::new(100.0, 10.0);
    /// assert_eq!(peak.share(50e9, 1e9, 1.0), Some(0.5));
    /// assert_eq!(peak.share(50e9, 8e9, 1.0), Some(0.8));
    /// assert_eq!(peak.share(0.0, 0.0, 1.0), None);
    /// ```
    pub fn share(&self, flops: f64, bytes: f64, seconds: f64) -> Option<f64> {
        let at_best = (flops / self.gflops).max(bytes / self.gbytes_per_second) / 1e9;
        let share = at_best / seconds;
        (share.is_finite() && share > 0.0).then_some(share)
    }
}

/// Minimum duration of a sample: short, so that some of many run while the device is otherwise
/// idle.
const SAMPLE: Duration = Duration::from_millis(5);
/// Time budget for the samples of one rate; a slow device takes a single one.
const BUDGET: Duration = Duration::from_millis(150);

/// The highest rate of `run`, in calls of its work per second: `run(n)` does its work `n` times,
/// and `n` doubles until a call takes long enough to measure.
pub(super) fn best_rate(mut run: impl FnMut(usize) -> Result<()>) -> Result<f64> {
    let mut timed = |n| -> Result<f64> {
        let started = Instant::now();
        run(n)?;
        Ok(started.elapsed().as_secs_f64())
    };
    // The first call compiles pipelines and touches memory.
    timed(1)?;
    let mut n = 1;
    while timed(n)? < SAMPLE.as_secs_f64() {
        n *= 2;
    }
    let mut best = 0f64;
    repeat_within(BUDGET, || {
        best = best.max(n as f64 / timed(n)?);
        Ok(())
    })?;
    Ok(best)
}
