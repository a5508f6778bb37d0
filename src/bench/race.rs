//! Measures whether the CPU would train faster than the selected GPU.

use std::time::Duration;

use super::Workload;
use crate::error::Result;
use crate::exec::{Backend, Device, Selection, open};
use crate::model::Sequential;
use crate::optimizer::Optimizer;

/// Time budget of each device.
const BUDGET: Duration = Duration::from_millis(250);
/// A difference below this is noise.
const CLEAR: f64 = 1.1;

/// The same training step on a GPU and on the CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Race {
    /// Seconds of a step on the GPU.
    pub gpu: f64,
    /// Seconds of a step on the CPU.
    pub cpu: f64,
}

impl Race {
    /// Trains on both for a quarter of a second, or for one step if that takes longer. Executors,
    /// weights and data are separate, so a training run in progress is not affected. The GPU driver
    /// keeps the compiled kernels for the next training run on `gpu`.
    ///
    /// # Errors
    /// A device cannot run the model, or fails.
    pub fn run(
        gpu: &Device,
        model: &Sequential,
        optimizer: Optimizer,
        batch: usize,
    ) -> Result<Self> {
        let cpu = open(&Selection::new(Backend::Cpu))?;
        let mut on_gpu = Workload::with_optimizer(gpu, model, optimizer, batch)?;
        let gpu = on_gpu.step(BUDGET)?.seconds;
        let mut on_cpu = Workload::with_optimizer(&cpu, model, optimizer, batch)?;
        // The CPU compiles nothing, so its first step is hardly slower than the others.
        let first = on_cpu.run(1)?;
        let cpu = if first < BUDGET.as_secs_f64() {
            on_cpu.step(BUDGET)?.seconds
        } else {
            first
        };
        Ok(Self { gpu, cpu })
    }
}

/// The CPU's speed relative to the GPU's, if it is clearly faster.
///
/// ```
/// use cnn_gpu::bench::{Race, cpu_is_faster};
/// assert_eq!(cpu_is_faster(&Race { gpu: 3.0, cpu: 1.5 }), Some(2.0));
/// assert_eq!(cpu_is_faster(&Race { gpu: 1.0, cpu: 1.5 }), None);
/// ```
pub fn cpu_is_faster(race: &Race) -> Option<f64> {
    let factor = race.gpu / race.cpu;
    (factor.is_finite() && factor >= CLEAR).then_some(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_lead_of_the_cpu_is_reported() {
        let factor = |gpu, cpu| cpu_is_faster(&Race { gpu, cpu });
        assert_eq!(factor(4.0, 1.0), Some(4.0));
        assert_eq!(factor(1.05, 1.0), None);
        assert_eq!(factor(1.0, 1.0), None);
        assert_eq!(factor(0.1, 1.0), None);
        assert_eq!(factor(1.0, 0.0), None);
        assert_eq!(factor(f64::NAN, 1.0), None);
    }
}
