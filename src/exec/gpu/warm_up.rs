//! Runs the kernels of a part of a step on another device, so that a software adapter has compiled
//! them when the step needs them; see `software`.

use std::cmp::Reverse;
use std::iter::once;
use std::sync::atomic::{AtomicBool, Ordering};

use super::device::GpuDevice;
use super::lower::Lowered;
use super::program::GpuProgram;
use crate::error::Result;
use crate::plan::Plan;

/// Runs one workgroup of each kernel in a part of a step, on zeros; returns their number.
pub fn warm_up(gpu: &GpuDevice, plan: &Plan, stretch: Lowered, stop: &AtomicBool) -> Result<usize> {
    let gpu = gpu.reopen()?;
    let steps = gpu.steps();
    let arenas = gpu.arenas(&plan.layout)?;
    // Not on all cores: this thread is one of several.
    let program = GpuProgram::new(&gpu, &steps, &arenas, plan, stretch)?;
    // The longest first, so that the one in progress when the step arrives is short.
    let mut dispatches: Vec<_> = program.step_without_gather().collect();
    dispatches.sort_by_key(|dispatch| Reverse(dispatch.text_bytes()));
    for (done, dispatch) in dispatches.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            return Ok(done);
        }
        gpu.submit_now(&steps, once(&dispatch.of_one_workgroup()));
        gpu.wait(None)?;
    }
    Ok(dispatches.len())
}

#[cfg(test)]
mod tests {
    use super::super::lower::LoweringMode;
    use super::*;
    use crate::exec::test_backend;
    use crate::model::preset;
    use crate::optimizer::Optimizer;
    use crate::plan::Purpose;

    #[test]
    fn every_kernel_lies_in_one_stretch_and_runs_ahead() {
        let gpu = GpuDevice::find(test_backend(), None)
            .unwrap_or_else(|e| panic!("the GPU tests need an adapter, such as lavapipe: {e}"));
        let model = preset("mnist-mlp").unwrap();
        let plan = Plan::new(&model, Purpose::Training(Optimizer::adam()), 4).unwrap();
        let lowered = Lowered::new(&plan, &gpu.tuning(), LoweringMode::Step);
        let calls = |lowered: &Lowered| lowered.ops.iter().map(Vec::len).collect::<Vec<_>>();
        for parts in [1, 2, 3, 5] {
            let stretches: Vec<_> = (0..parts).map(|i| lowered.stretch(i, parts)).collect();
            let counts: Vec<Vec<usize>> = stretches.iter().map(calls).collect();
            let sums: Vec<usize> = (0..lowered.ops.len())
                .map(|op| counts.iter().map(|stretch| stretch[op]).sum())
                .collect();
            assert_eq!(sums, calls(&lowered), "{parts} stretches");
        }
        let going = AtomicBool::new(false);
        // All except the gather.
        let all = calls(&lowered).iter().sum::<usize>() - 1;
        assert_eq!(
            warm_up(&gpu, &plan, lowered.stretch(0, 1), &going).unwrap(),
            all
        );
        let stopped = AtomicBool::new(true);
        assert_eq!(
            warm_up(&gpu, &plan, lowered.stretch(0, 1), &stopped).unwrap(),
            0
        );
    }
}
