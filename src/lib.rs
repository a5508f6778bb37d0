//! Trains convolutional networks with compute shaders, on any GPU and on the CPU, with the layers,
//! defaults and numbers of Keras.
//!
//! ```
//! use cnn_gpu::data::digits;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
//! use cnn_gpu::train::{Options, Trainer};
//!
//! // Built-in digits; `data::load` finds or downloads MNIST.
//! let train = digits::generate(2_000, 1, 0);
//! let test = digits::generate(200, 1, 2_000);
//!
//! let model = Sequential::new([28, 28, 1])
//!     .add(Conv2D::new(8, 5).strides(2).activation(Activation::Relu))
//!     .add(MaxPooling2D::new(2))
//!     .add(Flatten::new())
//!     .add(Dense::new(10).activation(Activation::Softmax));
//!
//! // `Selection::default()` uses a hardware GPU if there is one, and the CPU otherwise.
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
//! All but the last are on by default.
//!
//! - `cli`: the program `cnn-gpu`, and the progress bar of
//!   [`ProgbarLogger`](train::callbacks::ProgbarLogger). To use only the library, set
//!   `default-features = false`.
//! - `gpu`: training on GPUs with wgpu. Without it the crate trains on the CPU only.
//! - `download`: downloading MNIST and similar data sets if no folder holds them.
//! - `interchange`: networks from and for Keras, PyTorch and ONNX.
//! - `serve`: the program's command `serve`, with a small web server.
//! - `pictures`: reading PNG, JPEG and other pictures, one by one or in folders.
//! - `static-dxc`: DirectX's shader compiler DXC, linked in on Windows with MSVC; its build script
//!   downloads a prebuilt library. Without it, kernels on DirectX 12 are compiled by the
//!   `dxcompiler.dll` beside the program or in `PATH`, or by FXC, with a warning.
//!
//! # Map
//!
//! The modules, in the order in which data flows through them:
//!
//! 1. [`data`]: data sets as bytes.
//! 2. [`model`]: the layers, as the user wrote them.
//! 3. [`plan`]: a training step as a list of operations over named buffers.
//! 4. [`exec`]: the executors of a plan: the GPU, the CPU, and a reference to check both.
//! 5. [`state`]: what training changes; [`optimizer`]: how it changes.
//! 6. [`train`]: the only training loop.
//! 7. [`run`]: the files of a run.
//! 8. `interchange`: networks from and for other programs; `web`: a network as a web page.
//! 9. [`inspect`]: what filters make of pictures, and what the layers of a trained network compute
//!    and depend on; [`report`]: a run as a page with pictures.
//! 10. [`check`]: whether a device computes correctly; [`mod@bench`]: how fast it is; `tune`: with
//!     which kernels it is fastest.
//!
//! [`rng`] generates random numbers, [`shape`] computes the sizes of windows, [`words`] formats
//! numbers in messages, and all writes go through `disk`.
//!
//! # Stability
//!
//! The public interface is [`data`], [`model`], [`optimizer`], [`state`], [`train`], [`run`],
//! [`inspect`], [`report`], `interchange`, [`error`], [`rng`], [`shape`], and the device selection and the executors' traits in [`exec`].
//! [`plan`], [`check`], [`mod@bench`], [`words`] and those modules of [`exec`] whose documentation
//! says so are internal: public for the program and the tests, they may change in any version.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod base64;
pub mod bench;
pub mod check;
#[cfg(test)]
mod circles;
pub mod data;
mod disk;
pub mod distributed;
pub mod error;
pub mod exec;
pub mod inspect;
#[cfg(feature = "interchange")]
pub mod interchange;
#[doc(hidden)]
pub mod internal;
mod memory;
pub mod model;
pub mod optimizer;
pub mod plan;
mod read_toml;
pub mod report;
pub mod rng;
pub mod run;
mod run_files;
pub mod shape;
pub mod state;
pub mod train;
#[cfg(feature = "gpu")]
pub mod tune;
#[cfg(test)]
mod type_names;
#[cfg(feature = "gpu")]
pub mod web;
pub mod words;

pub use error::{Error, Result};

/// Tests the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Tests the code of the lab.
#[cfg(doctest)]
#[doc = include_str!("../docs/lab.md")]
struct LabInEnglish;

/// Tests the code of the lab in Spanish.
#[cfg(doctest)]
#[doc = include_str!("../docs/laboratorio.md")]
struct LabInSpanish;

/// Tests the code of the text on reports.
#[cfg(doctest)]
#[doc = include_str!("../docs/report.md")]
struct ReportText;
