//! Penalties on parameters.

use pulp::Arch;

use super::BatchWise;
use crate::exec::host::Memory;
use crate::plan::Regularize;

impl BatchWise for Regularize {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        for penalty in &self.penalties {
            let rule = penalty.regularizer;
            let w = memory.floats(penalty.w);
            let cost = rule.penalty(w.iter().map(|&w| w.into()));
            memory.metrics.loss_sum += (memory.rows as f64 * cost) as f32;
            if let Some(id) = penalty.gradient {
                let mut gradient = memory.take(id);
                for (g, &w) in gradient.iter_mut().zip(memory.floats(penalty.w)) {
                    *g += rule.gradient(w.into()) as f32;
                }
                memory.put(id, gradient);
            }
        }
    }
}
