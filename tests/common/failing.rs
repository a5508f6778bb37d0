//! A device that fails.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use cnn_gpu::Error;
use cnn_gpu::data::Dataset;
use cnn_gpu::exec::{DataId, Description, Executor, GradientSum, Program, Step, StepMetrics};
use cnn_gpu::plan::Plan;
use cnn_gpu::state::State;

/// An executor that fails at a given call and all later ones.
pub struct Failing {
    executor: Box<dyn Executor>,
    calls: Cell<usize>,
    fails_at: usize,
    error: fn() -> Error,
    /// The number of calls so far, shared with the test.
    counted: Arc<AtomicUsize>,
}

impl Failing {
    /// An executor whose calls fail with `error` from number `fails_at` on, and the number of its calls so far.
    pub fn at(
        executor: Box<dyn Executor>,
        fails_at: usize,
        error: fn() -> Error,
    ) -> (Box<dyn Executor>, Arc<AtomicUsize>) {
        let counted = Arc::new(AtomicUsize::new(0));
        let executor = Self {
            executor,
            calls: Cell::new(0),
            fails_at,
            error,
            counted: Arc::clone(&counted),
        };
        (Box::new(executor), counted)
    }

    fn call(&self) -> cnn_gpu::Result<()> {
        let call = self.calls.replace(self.calls.get() + 1);
        self.counted.store(call + 1, Relaxed);
        if call < self.fails_at {
            Ok(())
        } else {
            Err((self.error)())
        }
    }
}

impl Executor for Failing {
    fn describe(&self) -> Description {
        self.executor.describe()
    }
    fn compile(&mut self, plan: &Plan) -> cnn_gpu::Result<Program> {
        self.call()?;
        self.executor.compile(plan)
    }
    fn upload(&mut self, state: &State) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.upload(state)
    }
    fn download(&mut self, state: &mut State) -> cnn_gpu::Result<()> {
        if let Err(error) = self.call() {
            // Part of the work may have come back already.
            state.params.fill(0.5);
            return Err(error);
        }
        self.executor.download(state)
    }
    fn load(&mut self, data: &Dataset) -> cnn_gpu::Result<DataId> {
        self.call()?;
        self.executor.load(data)
    }
    fn reload(&mut self, data: DataId, samples: &Dataset) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.reload(data, samples)
    }
    fn order(&mut self, data: DataId, order: &[u32]) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.order(data, order)
    }
    fn unload(&mut self, data: DataId) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.unload(data)
    }
    fn enqueue(&mut self, step: &Step) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.enqueue(step)
    }
    fn start(&mut self) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.start()
    }
    fn completed(&mut self, wait: bool) -> cnn_gpu::Result<Vec<StepMetrics>> {
        self.call()?;
        self.executor.completed(wait)
    }
    fn predictions(&mut self, program: Program) -> cnn_gpu::Result<Vec<f32>> {
        self.call()?;
        self.executor.predictions(program)
    }
    fn gradients(&mut self) -> cnn_gpu::Result<Vec<f32>> {
        self.call()?;
        self.executor.gradients()
    }
    fn set_gradients(&mut self, values: &[f32], sum: GradientSum) -> cnn_gpu::Result<()> {
        self.call()?;
        self.executor.set_gradients(values, sum)
    }
}
