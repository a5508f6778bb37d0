//! The workers of a software adapter have a core each, and no other thread is bound to one. By itself in a
//! process, since a driver's workers are the process's.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::{fs, thread};

use cnn_gpu::data::digits;
use cnn_gpu::exec::Backend;
use cnn_gpu::exec::gpu::{GpuDevice, GpuExecutor};
use cnn_gpu::model::preset;
use cnn_gpu::state::Layout;
use cnn_gpu::train::{Options, Trainer};

/// The cores that a thread may use, as the kernel lists them: `0-1,4`.
fn allowed(task: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{task}/status")).ok()?;
    let cores = |line: &str| Some(line.strip_prefix("Cpus_allowed_list:")?.trim().to_owned());
    status.lines().find_map(cores)
}

fn count(list: &str) -> usize {
    let ends = |range: &str| -> Option<usize> {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()? - first.parse::<usize>().ok()? + 1)
    };
    list.split(',').filter_map(ends).sum()
}

/// The threads bound to one core, by core.
fn bound() -> BTreeMap<usize, Vec<String>> {
    let mut bound = BTreeMap::<usize, Vec<String>>::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let task = format!("self/task/{}", task.file_name().to_string_lossy());
        if let Some(core) = allowed(&task).and_then(|cores| cores.parse().ok()) {
            bound.entry(core).or_default().push(task);
        }
    }
    bound
}

#[test]
fn each_worker_has_a_core_and_other_threads_have_all() {
    let ours = allowed("thread-self").unwrap();
    let cores = count(&ours);
    assert!(cores == 1 || bound().is_empty(), "bound from the start");
    let gpu = GpuDevice::find(Backend::Vulkan, None).unwrap();
    let software = gpu.describe().software;
    let model = preset("mnist-cnn").unwrap();
    let layout = Layout::new(&model).unwrap();
    let executor = Box::new(GpuExecutor::new(Arc::new(gpu), layout));
    let mut trainer = Trainer::with_executor(model, executor, Options::default()).unwrap();
    let digits = digits::generate(512, 1, 0);
    // The workers are told from other threads by how long they work, which takes its time on a busy machine.
    for _ in 0..20 {
        trainer.fit(&digits).unwrap();
        if bound().len() == cores {
            break;
        }
    }
    // Some systems do not tell how long a thread has run.
    if !software || cores == 1 || !Path::new("/proc/self/schedstat").exists() {
        return;
    }
    let bound = bound();
    assert!(
        bound.values().all(|threads| threads.len() == 1),
        "more than one on a core: {bound:?}"
    );
    // A driver with fewer workers than there are cores is left alone.
    if cores <= 16 {
        assert_eq!(bound.len(), cores, "cores with a worker: {bound:?}");
    }
    let later = thread::spawn(|| allowed("thread-self"));
    assert_eq!(later.join().unwrap(), Some(ours), "cores of a later thread");
}
