//! The parts of a training step relative to the device's roofline.

use serde::Serialize;

use crate::exec::{Clock, Peak, Profile, ProfileEntry};
use crate::plan::{Op, Plan};

/// The time of each part of a step, and how close it comes to the device's limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// How the times were measured.
    pub clock: Clock,
    /// Dispatches per step on a GPU, otherwise `None`.
    pub dispatches: Option<usize>,
    /// The parts, in execution order.
    pub rows: Vec<RooflineRow>,
}

/// One part of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RooflineRow {
    /// The kernel's name on a GPU, otherwise the operation's.
    pub name: &'static str,
    /// The names of the operations it performs; empty for a helper of other parts.
    pub operations: Vec<&'static str>,
    /// The layers that the operations belong to: the last layer for the loss; none for gathering
    /// images, penalties, clipping and the update.
    pub layers: Vec<String>,
    /// Median time.
    pub seconds: f64,
    /// Floating-point operations, as [`Plan::flops`] counts them.
    pub flops: u64,
    /// The minimum number of bytes to move, as [`Plan::fused_bytes`] counts them.
    pub bytes: u64,
    /// GFLOP/s; `None` if nothing is computed or the time is too short to measure.
    pub gflops: Option<f64>,
    /// GB/s; `None` likewise.
    pub gbytes_per_second: Option<f64>,
    /// See [`Peak::share`]. Above 1 where data come from a cache, which is faster than memory.
    pub share: Option<f64>,
}

impl Roofline {
    /// Relates a profile of `plan` to a device's limits.
    pub fn new(plan: &Plan, profile: &Profile, peak: &Peak) -> Self {
        let dispatches = match profile.clock {
            Clock::Timestamps | Clock::DispatchesAlone => Some(profile.entries.len()),
            Clock::OperationsAlone => None,
        };
        let entries = profile.entries.iter();
        Self {
            clock: profile.clock,
            dispatches,
            rows: entries.map(|entry| row(plan, entry, peak)).collect(),
        }
    }
}

fn row(plan: &Plan, entry: &ProfileEntry, peak: &Peak) -> RooflineRow {
    let ops: Vec<&Op> = entry.ops.iter().map(|&i| &plan.ops[i]).collect();
    let flops: u64 = ops.iter().map(|op| plan.flops(op)).sum();
    let bytes = plan.fused_bytes(&ops);
    let layers = entry.ops.iter().map(|&i| plan.layers[i].clone());
    let mut layers: Vec<String> = layers.filter(|layer| !layer.is_empty()).collect();
    layers.dedup();
    let rate = |amount: u64| {
        let rate = amount as f64 / entry.seconds / 1e9;
        (rate.is_finite() && rate > 0.0).then_some(rate)
    };
    RooflineRow {
        name: entry.name,
        operations: ops.iter().map(|op| op.name()).collect(),
        layers,
        seconds: entry.seconds,
        flops,
        bytes,
        gflops: rate(flops),
        gbytes_per_second: rate(bytes),
        share: peak.share(flops as f64, bytes as f64, entry.seconds),
    }
}
