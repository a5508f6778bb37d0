//! WGSL compute shaders through wgpu.
//!
//! Read in this order: [`tuning`] chooses kernels by what the adapter reports, `lower` turns each
//! operation into kernel calls, `call` compiles and binds them, `program` keeps a plan's buffers and
//! dispatches, `data` the data sets, `steps` what changes from step to step, all of it in `buffers`,
//! and `executor` runs steps, many to a submission. `software` has slow drivers compile on several
//! cores, `tile` writes the text of the tiled convolutions, and `software` keeps copies of tensors for
//! adapters that read images faster. For `bench`, `peak` measures the adapter, `profile` a step's
//! dispatches, by the adapter's clock through `timer`, and `fused_into` tells which of them does what.

mod adapter;
mod buffers;
mod call;
mod data;
mod device;
mod executor;
mod fused_into;
mod lower;
#[cfg(test)]
mod mutants;
mod peak;
mod profile;
mod program;
mod random;
mod recorder;
mod software;
mod steps;
#[cfg(test)]
mod tests;
mod tile;
mod timer;
pub mod tuning;

pub use adapter::{AdapterInfo, adapters};
pub use device::GpuDevice;
pub use executor::GpuExecutor;
