//! Trains convolutional networks with compute shaders, on any GPU and on the CPU, with the layers,
//! defaults and numbers of Keras.
//!
//! ```
//! use cnn_gpu::data::digits;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
//! use cnn_gpu::train::{Options, Trainer};
//!
//! // Digits that the crate draws itself; `data::load` finds or downloads MNIST.
//! let train = digits::generate(2_000, 1, 0);
//! let test = digits::generate(200, 1, 2_000);
//!
//! let model = Sequential::new([28, 28, 1])
//!     .add(Conv2D::new(8, 5).strides(2).activation(Activation::Relu))
//!     .add(MaxPooling2D::new(2))
//!     .add(Flatten::new())
//!     .add(Dense::new(10).activation(Activation::Softmax));
//!
//! // `Selection::default()` takes a hardware GPU if there is one, and the CPU otherwise.
//! let device = exec::open(&Selection::new(Backend::Cpu))?;
//! let mut trainer = Trainer::new(model, &device, Options::default().epochs(2))?;
//! trainer.fit(&train)?;
//!
//! let scores = trainer.evaluate(&test)?;
//! println!("{scores}");
//! assert!(scores.accuracy > 0.5);
//!
//! let predictions = trainer.predict(test.image(0))?;
//! assert_eq!(predictions[0].probabilities.len(), 10);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```
//!
//! # Cargo features
//!
//! All are on by default.
//!
//! - `cli`: the program `cnn-gpu`, and the moving bar of
//!   [`ProgbarLogger`](train::callbacks::ProgbarLogger). A library needs neither:
//!   `default-features = false`.
//! - `gpu`: training on GPUs through wgpu. Without it the crate trains on the CPU.
//! - `download`: downloading MNIST and its kin where no folder holds them.
//! - `pictures`: reading PNG and JPEG pictures, one by one or in folders.
//!
//! # Map
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
//! [`words`]; whatever is written goes through `disk`.
//!
//! # Stability
//!
//! The public interface is [`data`], [`model`], [`optimizer`], [`state`], [`train`], [`run`], and of
//! [`exec`] the choice of a device. [`plan`], [`check`], [`mod@bench`] and what implements the executors
//! are public for the program and for the tests; they may change in any version.

pub mod bench;
pub mod check;
#[cfg(test)]
mod circles;
pub mod data;
#[doc(hidden)]
pub mod disk;
pub mod error;
pub mod exec;
mod memory;
pub mod model;
pub mod optimizer;
pub mod plan;
mod read_toml;
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
