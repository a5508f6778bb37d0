//! Which kernels train a model fastest on an adapter, by measurement.
//!
//! The kernels of an adapter follow from a table for its class ([`exec::gpu`](crate::exec::gpu)), whose
//! numbers are educated guesses for most adapters. [`Tuner`] measures other numbers on the adapter
//! itself, checks each against the plain kernels, and keeps what is faster; [`TunedKernels`] is the file
//! that remembers the choice, which `cnn-gpu train` takes.
//!
//! - `first_steps`: what a few steps compute, to compare kernels by,
//! - `contender`: a training step with a choice of kernels, and its speed next to another,
//! - `search`: the values that are tried, one after the other,
//! - `tuner`: a whole search and its result.
//!
//! ```no_run
//! use std::time::Duration;
//! use cnn_gpu::exec::{self, Backend, KernelChoice, Selection};
//! use cnn_gpu::model::preset;
//! use cnn_gpu::tune::Tuner;
//!
//! let device = exec::open(&Selection::new(Backend::Vulkan))?;
//! let model = preset("mnist-cnn").expect("a preset");
//! let tuner = Tuner::new(&device, &model, 64)?;
//! let tuned = tuner.run(&KernelChoice::default(), Duration::from_secs(20), &mut |_| {})?;
//! println!("{:.2} times as fast with {}", tuned.speed(), tuned.kernels);
//! let device = device.with_kernels(&tuned.kernels)?;
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod contender;
mod first_steps;
mod search;
mod tuned_kernels;
mod tuner;

pub use contender::step_seconds;
pub use search::{TrialOutcome, TuningTrial};
pub use tuned_kernels::TunedKernels;
pub use tuner::{Tuner, TuningReport};
