//! Compiles the kernels of a step on several cores of a software adapter.
//!
//! Such drivers compile a kernel when it first runs, on the thread that runs it; the kernels of a
//! step together take many seconds. They keep compiled kernels in a cache on disk that all devices
//! share. So a few more devices, one per thread, each run one workgroup of the kernels in a part of
//! the step, on memory of their own, while the first step proceeds from the front. The step neither
//! waits for them nor depends on them: without such a cache it takes as long as before. On two
//! cores this cut the first step of the lab network to two thirds (commit 839bc43).

use std::cmp::Reverse;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::super::device::GpuDevice;
use super::super::lower::{Lowered, Mode};
use super::super::program::GpuProgram;
use crate::error::Result;
use crate::memory;
use crate::plan::Plan;

/// Maximum number of compiling threads, including that of the step itself.
const MOST_THREADS: usize = 4;
/// Size in bytes of kernels from which this pays: some two seconds of work.
const WORTHWHILE: usize = 64 * 1024;

/// The other devices. Dropping this waits for the kernels that they are compiling.
pub struct CompileAhead {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl CompileAhead {
    /// Starts compiling, if the adapter is software, has spare cores, and the plan is large enough.
    pub fn start(gpu: &GpuDevice, plan: &Plan) -> Option<Self> {
        let parts = rayon::current_num_threads().min(MOST_THREADS);
        // OpenGL serves one thread at a time.
        let can = gpu.info.backend == wgpu::Backend::Vulkan && gpu.describe().software;
        if !can || parts < 2 {
            return None;
        }
        let lowered = Lowered::new(plan, &gpu.tuning(), Mode::Step);
        // Each device needs its own tensors.
        let needs = gpu.needs(&[plan]).ok()?.total() * parts as u64;
        if lowered.text_bytes() < WORTHWHILE || memory::check("the tensors", needs).is_err() {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (1..parts).map_while(|part| {
            let (gpu, plan, stop) = (gpu.clone(), plan.clone(), Arc::clone(&stop));
            let stretch = lowered.stretch(part, parts);
            // The step itself compiles what fails here.
            let work = move || drop(run_once(&gpu, &plan, stretch, &stop));
            thread::Builder::new().spawn(work).ok()
        });
        Some(Self {
            threads: threads.collect(),
            stop,
        })
    }

    /// Makes the other devices stop at the next kernel.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for CompileAhead {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // The program must not exit while a driver compiles. A panic has been reported already.
            let _ = thread.join();
        }
    }
}

/// Runs one workgroup of each kernel in a part of a step, on zeros; returns their number.
fn run_once(gpu: &GpuDevice, plan: &Plan, stretch: Lowered, stop: &AtomicBool) -> Result<usize> {
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
        let lowered = Lowered::new(&plan, &gpu.tuning(), Mode::Step);
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
            run_once(&gpu, &plan, lowered.stretch(0, 1), &going).unwrap(),
            all
        );
        let stopped = AtomicBool::new(true);
        assert_eq!(
            run_once(&gpu, &plan, lowered.stretch(0, 1), &stopped).unwrap(),
            0
        );
    }
}
