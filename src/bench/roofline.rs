//! The parts of a step, each beside what the device can do at most.

use serde::Serialize;

use crate::exec::{Clock, Part, Peak, Profile};
use crate::plan::{Op, Plan};

/// Where a step's time goes, and how far each part is from the device's limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Roofline {
    /// How the times were taken.
    pub clock: Clock,
    /// Dispatches of a step on a GPU; none elsewhere.
    pub dispatches: Option<usize>,
    /// The parts, in the order in which they run.
    pub rows: Vec<RooflineRow>,
}

/// One part of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RooflineRow {
    /// The kernel's name on a GPU, elsewhere the operation's.
    pub name: &'static str,
    /// The operations that it does, by their names; none for a helper of others.
    pub operations: Vec<&'static str>,
    /// The layers whose operations these are: the last one for the loss; none of gathering images, of
    /// penalties, clipping and the update.
    pub layers: Vec<String>,
    /// Median time.
    pub seconds: f64,
    /// Floating-point operations, as [`Plan::flops`] counts them.
    pub flops: u64,
    /// Bytes that have to move at least, as [`Plan::fused_bytes`] counts them.
    pub bytes: u64,
    /// The former per second, in 1e9; none if nothing is computed or the time is too short.
    pub gflops: Option<f64>,
    /// The latter per second, in 1e9; as `gflops`.
    pub gbytes_per_second: Option<f64>,
    /// See [`Peak::share`]. Above 1 where data lie in a cache, which is faster than memory.
    pub share: Option<f64>,
}

impl Roofline {
    /// Sets a profile of `plan` beside a device's limits.
    pub fn new(plan: &Plan, profile: &Profile, peak: &Peak) -> Self {
        let dispatches = match profile.clock {
            Clock::Timestamps | Clock::DispatchesAlone => Some(profile.parts.len()),
            Clock::OperationsAlone => None,
        };
        let parts = profile.parts.iter();
        Self {
            clock: profile.clock,
            dispatches,
            rows: parts.map(|part| row(plan, part, peak)).collect(),
        }
    }
}

fn row(plan: &Plan, part: &Part, peak: &Peak) -> RooflineRow {
    let ops: Vec<&Op> = part.ops.iter().map(|&i| &plan.ops[i]).collect();
    let flops: u64 = ops.iter().map(|op| plan.flops(op)).sum();
    let bytes = plan.fused_bytes(&ops);
    let layers = part.ops.iter().map(|&i| plan.layers[i].clone());
    let mut layers: Vec<String> = layers.filter(|layer| !layer.is_empty()).collect();
    layers.dedup();
    let rate = |amount: u64| {
        let rate = amount as f64 / part.seconds / 1e9;
        (rate.is_finite() && rate > 0.0).then_some(rate)
    };
    RooflineRow {
        name: part.name,
        operations: ops.iter().map(|op| op.name()).collect(),
        layers,
        seconds: part.seconds,
        flops,
        bytes,
        gflops: rate(flops),
        gbytes_per_second: rate(bytes),
        share: peak.share(flops as f64, bytes as f64, part.seconds),
    }
}
