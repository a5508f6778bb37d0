//! Device memory of plans, computed before anything is allocated.

use std::collections::HashSet;

use super::call::{Access, Vector};
use super::device::GpuDevice;
use super::lower::{Lowered, LoweringMode};
use super::operand::Operand;
use super::program::bound;
use crate::error::Result;
use crate::exec::MemoryUse;
use crate::memory;
use crate::plan::Plan;
use crate::state::ARENAS;

impl GpuDevice {
    /// Checks plans against the adapter's limits and, where it is known, against the memory that is
    /// available.
    pub(super) fn fits(&self, plans: &[&Plan]) -> Result<()> {
        let needs = self.needs(plans)?.total();
        memory::within((self.budget)(), "the tensors", needs)
    }

    /// The memory of plans of one model side by side; each buffer must be within the adapter's
    /// limits.
    pub(super) fn needs(&self, plans: &[&Plan]) -> Result<MemoryUse> {
        let mut total = MemoryUse::default();
        for plan in plans {
            let lowered = Lowered::new(plan, &self.tuning(), LoweringMode::Step);
            self.check_sizes(plan, &lowered)?;
            let needs = of_steps(plan, &lowered);
            total.tensors += needs.tensors + plan.sums_bytes();
            total.partial_sums += needs.partial_sums;
            total.image_copies += needs.image_copies;
        }
        if let Some(plan) = plans.first() {
            total.tensors += ARENAS as u64 * arena(plan);
        }
        Ok(total)
    }

    /// Checks each buffer and image of a plan's steps against the adapter's limits.
    fn check_sizes(&self, plan: &Plan, lowered: &Lowered) -> Result<()> {
        for id in bound(plan, lowered) {
            let buffer = plan.buffer(id);
            self.check_size(&buffer.name, 4 * buffer.len() as u64)?;
        }
        self.check_size("partial sums", 4 * lowered.partials as u64)?;
        self.check_size("parameters", arena(plan))?;
        for (operand, vector) in images(lowered) {
            let bytes = bytes_bound(plan, lowered, operand);
            match operand {
                Operand::Buffer(id) => vector.check_rows(self, &plan.buffer(id).name, bytes)?,
                _ => vector.check_rows(self, "parameters", bytes)?,
            };
        }
        Ok(())
    }
}

/// The bytes of the parameters.
fn arena(plan: &Plan) -> u64 {
    4 * plan.layout.len as u64
}

/// The memory of a plan's steps, without the arenas.
fn of_steps(plan: &Plan, lowered: &Lowered) -> MemoryUse {
    let own = bound(plan, lowered).into_iter();
    let copies = images(lowered).into_iter();
    MemoryUse {
        tensors: own.map(|id| 4 * plan.buffer(id).len() as u64).sum(),
        partial_sums: 4 * lowered.partials as u64,
        image_copies: copies
            .map(|(operand, vector)| vector.image_bytes(bytes_bound(plan, lowered, operand)))
            .sum(),
    }
}

/// The image copies that calls read.
fn images(lowered: &Lowered) -> HashSet<(Operand, Vector)> {
    let bindings = lowered.ops.iter().flatten().flat_map(|call| &call.bindings);
    let copies = bindings.filter_map(|(operand, access)| match access {
        Access::Image(vector) => Some((*operand, *vector)),
        Access::Read | Access::Write => None,
    });
    copies.collect()
}

/// The bytes that an operand binds, for those that are read from image copies.
fn bytes_bound(plan: &Plan, lowered: &Lowered, operand: Operand) -> u64 {
    match operand {
        Operand::Buffer(id) => 4 * plan.buffer(id).len() as u64,
        Operand::Params
        | Operand::Gradients
        | Operand::Moment1
        | Operand::Moment2
        | Operand::Average => arena(plan),
        Operand::Partials(first) => 4 * (lowered.partials - first) as u64,
        Operand::Blocks => size_of_val(&*lowered.blocks) as u64,
        Operand::Arena => size_of_val(&*lowered.arena(plan)) as u64,
        Operand::Metrics
        | Operand::Nothing
        | Operand::Images(_)
        | Operand::DataLabels
        | Operand::Order => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::executor::GpuExecutor;
    use super::super::tuning::Tuning;
    use super::*;
    use crate::exec::{Executor as _, test_backend};
    use crate::model::preset;
    use crate::optimizer::Optimizer;
    use crate::plan::Purpose;
    use crate::state::Layout;
    use crate::train::room::largest_batch;

    fn device() -> GpuDevice {
        GpuDevice::find(test_backend(), None)
            .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"))
    }

    fn training() -> Purpose {
        Purpose::Training(Optimizer::adam())
    }

    /// The output of a fused convolution and its gradient would be the largest tensors of a step;
    /// its kernels bind neither.
    #[test]
    fn a_training_step_takes_memory_for_what_it_binds() {
        let model = preset("mnist-cnn").unwrap();
        let plan = Plan::new(&model, training(), 4096).unwrap();
        let all = plan.all_bytes();
        let lowered = Lowered::new(&plan, &Tuning::HARDWARE, LoweringMode::Step);
        let needs = of_steps(&plan, &lowered).total() + ARENAS as u64 * arena(&plan);
        assert!(needs * 100 <= all * 35, "{needs} of {all} bytes");
        for (name, tuning) in Tuning::CLASSES {
            let lowered = Lowered::new(&plan, &tuning, LoweringMode::Step);
            let tensors = of_steps(&plan, &lowered).tensors;
            assert!(
                tensors * 100 <= all * 35,
                "{name}: {tensors} of {all} bytes"
            );
        }
    }

    /// Bytes allocated on the device; `None` if the backend keeps no record, as on Metal and
    /// OpenGL.
    fn allocated(gpu: &GpuDevice) -> Option<u64> {
        let report = gpu.device.generate_allocator_report()?;
        Some(report.allocations.iter().map(|a| a.size).sum())
    }

    #[test]
    fn a_plan_takes_the_memory_that_was_computed() {
        let gpu = Arc::new(device());
        let model = preset("mnist-cnn").unwrap();
        let plan = Plan::new(&model, training(), 512).unwrap();
        let mut executor = GpuExecutor::new(Arc::clone(&gpu), Layout::new(&model).unwrap());
        let Some(before) = allocated(&gpu) else {
            return;
        };
        executor.compile(&plan).unwrap();
        let taken = allocated(&gpu).unwrap() - before;
        let needs = gpu.needs(&[&plan]).unwrap().total();
        // Drivers round up the sizes of images and small buffers.
        let most = needs + needs / 10 + (1 << 20);
        assert!((needs..=most).contains(&taken), "{taken}, computed {needs}");
    }

    #[test]
    fn the_largest_batch_keeps_to_a_known_budget() {
        let mut gpu = device();
        gpu.budget = || Some(100 << 20);
        let model = preset("mnist-cnn").unwrap();
        let executor = GpuExecutor::new(Arc::new(gpu.clone()), Layout::new(&model).unwrap());
        let batch = largest_batch(&executor, &model, training()).unwrap();
        let needs = |batch| {
            let plan = Plan::new(&model, training(), batch).unwrap();
            let one = Plan::new(&model, Purpose::Inference, 1).unwrap();
            gpu.needs(&[&plan, &one]).unwrap().total()
        };
        assert!(
            needs(batch) <= 100 << 20 && needs(batch + 1) > 100 << 20,
            "{batch}"
        );
    }
}
