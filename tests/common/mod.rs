//! Executors for tests.

#![allow(dead_code, reason = "no test needs all of them")]

mod backend;
pub mod failing;

use std::sync::{Arc, OnceLock};

pub use backend::test_backend;

use cnn_gpu::data::Dataset;
use cnn_gpu::exec::cpu::{Cpu, CpuExecutor};
use cnn_gpu::exec::reference::ReferenceExecutor;
use cnn_gpu::exec::{Device, Inspect, Selection, open};
use cnn_gpu::internal::NullExecutor;
use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
use cnn_gpu::state::Layout;
use cnn_gpu::train::{Options, Trainer};

/// The reference.
pub fn reference(layout: Arc<Layout>) -> Box<dyn Inspect> {
    Box::new(ReferenceExecutor::reference(layout))
}

/// The CPU executor.
pub fn cpu(layout: Arc<Layout>) -> Box<dyn Inspect> {
    Box::new(CpuExecutor::new(Cpu::new(), layout))
}

/// The GPU of [`test_backend`].
///
/// # Panics
/// There is no adapter, as a test must not silently pass without one.
pub fn gpu(layout: Arc<Layout>) -> Box<dyn Inspect> {
    static OPENED: OnceLock<Result<Device, String>> = OnceLock::new();
    match OPENED.get_or_init(open_gpu) {
        Ok(opened) => opened.executor(layout),
        Err(message) => panic!("the GPU tests need an adapter, such as lavapipe: {message}"),
    }
}

fn open_gpu() -> Result<Device, String> {
    let selection = Selection::new(test_backend());
    open(&selection).map_err(|e| e.to_string())
}

/// The shape of the images of scripted trainers.
pub const SHAPE: [usize; 3] = [2, 2, 1];

/// A model with three classes for such images.
pub fn model() -> Sequential {
    Sequential::new(SHAPE)
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax))
}

/// Such images.
pub fn images(n: usize) -> Dataset {
    let labels = (0..n).map(|i| (i % 3) as u8).collect();
    Dataset::new("test", "nowhere", SHAPE, 3, vec![7; n * 4], labels)
        .unwrap_or_else(|e| panic!("{e}"))
}

/// A trainer whose steps return the metrics in `script`.
pub fn scripted(options: Options, script: &[(f32, f32)]) -> Trainer<NullExecutor> {
    let executor = NullExecutor::new(script.iter().copied());
    Trainer::with_executor(model(), Box::new(executor), options).unwrap_or_else(|e| panic!("{e}"))
}
