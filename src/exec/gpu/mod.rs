//! WGSL compute shaders through wgpu.
//!
//! The files in the order of a step; none uses a later one, which `circles` checks:
//!
//! - [`tuning`] chooses kernels by what the adapter reports, never by its name; [`tune`](crate::tune) measures
//!   its `knobs`.
//! - `call` is a kernel call as text, which binds `operand`s; `tiled` generates the text of the
//!   tiled convolutions, and `lower` turns each operation of a plan into calls.
//! - `variants` lists the kernels that checks run on every adapter.
//! - `pipeline` compiles calls, `device` opens an adapter, `buffers` and `upload` fill its memory,
//!   and `dispatch` binds buffers to a compiled call.
//! - `steps` holds the values that change from step to step, `data` a data set, `program` a plan's
//!   buffers and dispatches; `fits` computes their memory.
//! - `recording` is a program without a device, for web pages.
//! - `recorder` records dispatches, `warm_up` runs kernels ahead of a step, and `executor` runs
//!   steps, many per submission; `pace` keeps these short enough for watchdogs and Ctrl-C.
//!
//! `software` holds what only software adapters need, except `lavapipe`, which is part of the
//! description of an adapter, and `dx12` chooses DirectX's compiler. For
//! `bench`, `gpu_peak` measures the adapter, `profile` a step's dispatches by the adapter's clock
//! (`timer`), and `fused_into` names the operations that each of them computes.

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
mod gradient_sums;
mod knobs;
mod lavapipe;
#[cfg(test)]
mod loads;
mod lower;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod mutation;
mod operand;
mod pace;
mod pipeline;
mod profile;
mod program;
mod random;
mod recorder;
mod recording;
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
mod warm_up;

pub use adapter::{AdapterInfo, adapters};
pub use device::GpuDevice;
pub use executor::GpuExecutor;
pub(crate) use knobs::{KNOBS, Knob};
pub use lavapipe::Lavapipe;
pub(crate) use recording::{RecordedBuffer, RecordedDispatch, Recording, kernel_texts};
pub(crate) use steps::step_fields;
