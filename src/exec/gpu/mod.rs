//! WGSL compute shaders through wgpu.
use std::ops::Range;
use std::sync::Arc;

use super::{Backend, DataId, Description, Executor, Program, Step, StepMetrics, Values};
use crate::data::Dataset;
use crate::error::Result;
use crate::plan::{BufferId, Plan};
use crate::state::{Layout, State};

/// A GPU.
pub struct GpuDevice {}

impl GpuDevice {
    /// The best hardware GPU.
    ///
    /// # Errors
    /// x
    pub fn best_hardware() -> Result<Option<Self>> {
        Ok(None)
    }
    /// Finds an adapter.
    ///
    /// # Errors
    /// x
    pub fn find(_backend: Backend, _adapter: Option<&str>) -> Result<Self> {
        Err(crate::Error::Device("no".into()))
    }
}

/// Executor on a GPU.
pub struct GpuExecutor {}

impl GpuExecutor {
    /// An executor.
    pub fn new(_device: Arc<GpuDevice>, _layout: Arc<Layout>) -> Self {
        Self {}
    }
}

impl Executor for GpuExecutor {
    fn describe(&self) -> Description {
        unimplemented!()
    }
    fn compile(&mut self, _plan: &Plan) -> Result<Program> {
        unimplemented!()
    }
    fn upload(&mut self, _state: &State) -> Result<()> {
        unimplemented!()
    }
    fn download(&mut self, _state: &mut State) -> Result<()> {
        unimplemented!()
    }
    fn load(&mut self, _data: &Dataset) -> Result<DataId> {
        unimplemented!()
    }
    fn order(&mut self, _data: DataId, _order: &[u32]) -> Result<()> {
        unimplemented!()
    }
    fn enqueue(&mut self, _step: &Step) -> Result<()> {
        unimplemented!()
    }
    fn completed(&mut self, _wait: bool) -> Result<Vec<StepMetrics>> {
        unimplemented!()
    }
    fn run(&mut self, _ops: Range<usize>, _step: &Step) -> Result<()> {
        unimplemented!()
    }
    fn write(&mut self, _program: Program, _buffer: BufferId, _values: &Values) -> Result<()> {
        unimplemented!()
    }
    fn read(&mut self, _program: Program, _buffer: BufferId) -> Result<Values> {
        unimplemented!()
    }
}
