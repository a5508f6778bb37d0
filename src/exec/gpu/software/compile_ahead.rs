//! Compiles the kernels of a step on several cores of a software adapter.
//!
//! Such drivers compile a kernel when it first runs, on the thread that runs it; the kernels of a
//! step together take many seconds. They keep compiled kernels in a cache on disk that all devices
//! share. So a few more devices, one per thread, each run one workgroup of the kernels in a part of
//! the step, on memory of their own, while the first step proceeds from the front. The step neither
//! waits for them nor depends on them: without such a cache it takes as long as before. On two
//! cores this cut the first step of the lab network to two thirds (commit 839bc43).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::super::device::GpuDevice;
use super::super::lower::{Lowered, LoweringMode};
use crate::error::Result;
use crate::memory;
use crate::plan::Plan;

/// Maximum number of compiling threads, including that of the step itself.
const MAX_THREADS: usize = 4;
/// Size in bytes of kernels from which this pays: some two seconds of work.
const WORTHWHILE: usize = 64 * 1024;

/// Runs the kernels of a part of a step once, as `warm_up` does, until the flag is set.
pub type WarmUp = fn(&GpuDevice, &Plan, Lowered, &AtomicBool) -> Result<usize>;

/// The other devices. Dropping this waits for the kernels that they are compiling.
pub struct CompileAhead {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl CompileAhead {
    /// Starts compiling, if the adapter is software, has spare cores, and the plan is large enough.
    pub fn start(gpu: &GpuDevice, plan: &Plan, warm_up: WarmUp) -> Option<Self> {
        let parts = rayon::current_num_threads().min(MAX_THREADS);
        // OpenGL serves one thread at a time.
        let can = gpu.info.backend == wgpu::Backend::Vulkan && gpu.describe().software;
        if !can || parts < 2 {
            return None;
        }
        let lowered = Lowered::new(plan, &gpu.tuning(), LoweringMode::Step);
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
            let work = move || drop(warm_up(&gpu, &plan, stretch, &stop));
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
