//! WGSL compute shaders through wgpu.
//!
//! A step takes this way, and no file uses one that stands later in it (`circles` checks that):
//!
//! - [`tuning`] chooses kernels by what the adapter reports, never by its name.
//! - `call` is a kernel call as text, which binds `slot`s; `tiled` writes the text of the tiled
//!   convolutions, and `lower` turns each operation of a plan into calls.
//! - `variants` are the kernels that checks run, whatever the adapter would choose.
//! - `pipeline` compiles calls, `device` opens an adapter, `buffers` lie on it, and `dispatch` binds them to a
//!   compiled call.
//! - `steps` is what changes from step to step, `data` a data set, `program` a plan's buffers and dispatches,
//!   `fits` the memory that these take.
//! - `recorder` records dispatches, and `executor` runs steps, many to a submission, at a `pace` that
//!   neither watchdogs nor Ctrl-C mind.
//!
//! `software` holds what only software adapters need. For `bench`, `gpu_peak` measures the adapter, `profile` a
//! step's dispatches by the adapter's clock (`timer`), and `fused_into` says which operations each of
//! them does.

mod adapter;
mod buffers;
mod call;
mod data;
mod device;
mod dispatch;
mod dx12;
mod executor;
mod fits;
mod fused_into;
mod gpu_peak;
mod lavapipe;
#[cfg(test)]
mod loads;
mod lower;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod mutation;
mod pace;
mod pipeline;
mod profile;
mod program;
mod random;
mod recorder;
mod slot;
mod software;
mod steps;
#[cfg(test)]
mod tests;
mod tiled;
mod timer;
pub mod tuning;
mod upload;
mod validation;
mod variants;

pub use adapter::{AdapterInfo, adapters};
pub use device::GpuDevice;
pub use executor::GpuExecutor;
pub use lavapipe::Lavapipe;
