//! Device memory of plans, computed before anything is allocated.

use std::collections::HashSet;

use super::call::Access;
use super::device::GpuDevice;
use super::lower::{Lowered, Mode};
use super::program::bound;
use super::slot::Slot;
use crate::error::Result;
use crate::memory;
use crate::plan::Plan;
use crate::state::ARENAS;

impl GpuDevice {
    /// Checks plans against the adapter's limits and, on a software adapter, against main memory.
    /// The size of a GPU's memory cannot be queried.
    pub(super) fn fits(&self, plans: &[&Plan]) -> Result<()> {
        let needs = self.needs(plans)?;
        if self.describe().software {
            memory::check("the tensors", needs)
        } else {
            Ok(())
        }
    }

    /// The memory in bytes of plans of one model side by side; each buffer must be within the
    /// adapter's limits.
    pub(super) fn needs(&self, plans: &[&Plan]) -> Result<u64> {
        let mut total = 0;
        for plan in plans {
            total += self.bytes_of(plan)?;
        }
        if let Some(plan) = plans.first() {
            let arena = 4 * plan.layout.len as u64;
            self.check_size("parameters", arena)?;
            total += ARENAS as u64 * arena;
        }
        Ok(total)
    }

    /// The memory in bytes of a plan's steps, without the arenas; each buffer must be within the
    /// adapter's limits.
    fn bytes_of(&self, plan: &Plan) -> Result<u64> {
        let lowered = Lowered::new(plan, &self.tuning(), Mode::Step);
        let own = bound(plan, &lowered).into_iter();
        let own = own.map(|id| plan.buffer(id));
        let own = own.map(|b| (b.name.as_str(), 4 * b.len() as u64));
        let partials = ("partial sums", 4 * lowered.partials as u64);
        let mut total = 0;
        for (name, bytes) in own.chain([partials]) {
            self.check_size(name, bytes)?;
            total += bytes;
        }
        let bindings = lowered.ops.iter().flatten().flat_map(|call| &call.bindings);
        let mut copies = HashSet::new();
        for (slot, access) in bindings {
            if let (Slot::Buffer(id), Access::Image(vector)) = (slot, access) {
                let buffer = plan.buffer(*id);
                let bytes = 4 * buffer.len() as u64;
                vector.check_rows(self, &buffer.name, bytes)?;
                if copies.insert((*slot, *vector)) {
                    total += bytes;
                }
            }
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::super::program::is_own;
    use super::super::tuning::Tuning;
    use super::*;
    use crate::model::preset;
    use crate::optimizer::Optimizer;
    use crate::plan::Purpose;

    /// The output of a fused convolution and its gradient would be the largest tensors of a step;
    /// its kernels bind neither.
    #[test]
    fn a_training_step_takes_memory_for_what_it_binds() {
        let model = preset("mnist-cnn").unwrap();
        let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 4096).unwrap();
        let lowered = Lowered::new(&plan, &Tuning::HARDWARE, Mode::Step);
        let bytes = |id: &crate::plan::BufferId| 4 * plan.buffer(*id).len();
        let bound: usize = bound(&plan, &lowered).iter().map(bytes).sum();
        let own = plan.buffers.iter().filter(|buffer| is_own(buffer.role));
        let all: usize = own.map(|buffer| 4 * buffer.len()).sum();
        assert!(bound * 100 <= all * 35, "{bound} of {all} bytes");
    }
}
