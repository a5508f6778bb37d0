//! Trains convolutional networks with compute shaders, on any GPU and on the CPU.
//!
//! Read the crate in the order in which data flows through it:
//!
//! 1. [`data`]: MNIST or the built-in digits, as bytes.
//! 2. [`model`]: the layers that the user wrote.
//! 3. [`plan`]: what one step does, as a list of operations over named buffers.
//! 4. [`exec`]: who does it: the GPU, the CPU, or the reference that checks both.
//! 5. [`state`]: what training changes; [`optimizer`]: how.
//! 6. [`train`]: the only training loop.
//! 7. [`run`]: what a run leaves on disk.
//! 8. [`check`]: whether a device's arithmetic is right; [`mod@bench`]: how fast it is.
//!
//! Random numbers come from [`rng`], sizes of windows from [`shape`], numbers in sentences from
//! [`words`]; whatever is written goes through [`disk`].

pub mod bench;
pub mod check;
pub mod data;
pub mod disk;
pub mod error;
pub mod exec;
mod memory;
pub mod model;
pub mod optimizer;
pub mod plan;
pub mod rng;
pub mod run;
pub mod shape;
pub mod state;
pub mod train;
pub mod words;

pub use error::{Error, Result};

/// The README's example, so that it stays true.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
