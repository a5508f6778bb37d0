//! The fast CPU path.
use super::Description;
use super::host::{HostExecutor, Kernels, Memory};
use crate::plan::Op;

/// An executor on the CPU.
pub type CpuExecutor = HostExecutor<Cpu>;

/// Fast arithmetic.
pub struct Cpu {}

impl Cpu {
    /// On all cores.
    pub fn new() -> Self {
        Self {}
    }
}

impl Kernels for Cpu {
    fn describe(&self) -> Description {
        unimplemented!()
    }
    fn run(&mut self, _op: &Op, _memory: &mut Memory<'_>) {
        unimplemented!()
    }
}
