//! Which kernels train a model fastest on an adapter, by measurement.
//!
//! The kernels of an adapter follow from a table for its class ([`exec::gpu`](crate::exec::gpu)), whose
//! numbers are educated guesses for most adapters. [`Tuner`] measures other numbers on the adapter
//! itself, checks each against the plain kernels, and keeps what is faster; [`TunedKernels`] is the file
//! that remembers the choice, which `cnn-gpu train` takes.
//!
//! ```no_run
//! use std::time::Duration;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::preset;
//! use cnn_gpu::tune::Tuner;
//!
//! let device = exec::open(&Selection::new(Backend::Vulkan))?;
//! let model = preset("mnist-cnn").expect("a preset");
//! let tuned = Tuner::new(&device, &model, 64)?.run(Duration::from_secs(20), &mut |_| {})?;
//! println!("{:.2} times as fast with {}", tuned.speed(), tuned.kernels);
//! let device = device.with_kernels(&tuned.kernels)?;
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod contender;
mod tuned_kernels;
mod tuner;

pub use contender::relative_speed;
pub use tuned_kernels::TunedKernels;
pub use tuner::{TrialOutcome, Tuner, TuningReport, TuningTrial};
