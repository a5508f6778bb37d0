//! Has a software adapter compile the kernels of a step on all cores.
//!
//! Such drivers compile a kernel when it is first run, one after the other, on the thread that runs it;
//! a step's kernels together take them ten seconds. What is compiled they keep in a cache on disk that
//! all devices share. So a few more devices, one to a thread, each run a stretch of the step once, on
//! memory of their own, while the first step makes its way from the front. Nothing waits for them and
//! nothing depends on them: without such a cache the first step takes what it took.

use std::cmp::Reverse;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::device::GpuDevice;
use super::lower::{Lowered, Mode};
use super::program::GpuProgram;
use crate::error::Result;
use crate::plan::Plan;

/// Most threads that compile, with the one of the step itself.
const MOST_THREADS: usize = 4;
/// Bytes of kernels from which it pays: some two seconds' work.
const WORTHWHILE: usize = 64 * 1024;

/// The other devices at work. They stop at the next kernel when this is dropped.
pub struct CompileAhead {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl CompileAhead {
    /// Begins, where the adapter is software, has cores to spare and is worth it for this plan.
    pub fn start(gpu: &GpuDevice, plan: &Plan) -> Option<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let parts = cores.min(MOST_THREADS);
        if !gpu.describe().software || parts < 2 {
            return None;
        }
        let lowered = Lowered::new(plan, &gpu.tuning(), Mode::Step);
        // Each device has the tensors once more.
        if lowered.text() < WORTHWHILE || gpu.fits(&vec![plan; parts]).is_err() {
            return None;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (1..parts).map_while(|part| {
            let (gpu, plan, stop) = (gpu.clone(), plan.clone(), Arc::clone(&stop));
            let stretch = lowered.stretch(part, parts);
            // What fails here is left for the step itself to compile.
            let work = move || drop(run_once(&gpu, &plan, stretch, &stop));
            thread::Builder::new().spawn(work).ok()
        });
        Some(Self {
            threads: threads.collect(),
            stop,
        })
    }
}

impl Drop for CompileAhead {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // The process must not end while a driver compiles. A panic has been reported.
            let _ = thread.join();
        }
    }
}

/// Runs a stretch of a step, dispatch by dispatch, on zeros.
fn run_once(gpu: &GpuDevice, plan: &Plan, stretch: Lowered, stop: &AtomicBool) -> Result<()> {
    let gpu = gpu.reopen()?;
    let steps = gpu.steps();
    let arenas = gpu.arenas(&plan.layout)?;
    let program = GpuProgram::new(&gpu, &steps, &arenas, plan, stretch)?;
    // The longest first, so that the one under way when the step comes by is short.
    let mut dispatches: Vec<_> = program.step_without_gather().collect();
    dispatches.sort_by_key(|dispatch| Reverse(dispatch.text()));
    for dispatch in dispatches {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        gpu.submit_now(&steps, 0, once(dispatch));
        gpu.wait(None)?;
    }
    Ok(())
}
