//! Looks inside a trained network: the outputs of its layers, what an output depends on, how far its
//! probabilities can be trusted, and maps of its features.
//!
//! - [`layer_outputs`] and [`ForwardPass`]: what every layer computes for some images.
//! - [`saliency()`] and [`grad_cam()`]: which pixels a class depends on.
//! - [`Calibration`]: whether images classified with 90 % probability are right in 90 % of cases.
//! - [`embedding`]: images as points in a plane, by PCA and by t-SNE.
//! - [`augmented()`]: training images as augmentation changes them; [`mixed()`]: as MixUp and `CutMix` do.
//! - [`convolved()`]: what a [`Filter`] makes of a picture.
//! - [`LinePlot`]: curves as text.
//!
//! Everything runs on the chosen device, with the kernels that training uses.
//!
//! ```
//! use cnn_gpu::data::digits;
//! use cnn_gpu::exec::{self, Backend, Selection};
//! use cnn_gpu::inspect;
//! use cnn_gpu::model::preset;
//! use cnn_gpu::state::{Layout, State};
//! # let Some(model) = preset("mnist-cnn") else { return Ok(()) };
//!
//! let device = exec::open(&Selection::new(Backend::Cpu))?;
//! let state = State::new(Layout::new(&model)?, 1); // or weights from a file
//! let image = inspect::to_floats(digits::generate(1, 1, 0).image(0));
//!
//! let outputs = inspect::layer_outputs(&device, &model, &state, &image)?;
//! assert_eq!(outputs[0].layer, "conv2d");
//! assert_eq!(outputs[0].shape, [26, 26, 32]);
//!
//! let seen = inspect::grad_cam(&device, &model, &state, &image, 7, None)?;
//! assert_eq!((seen.layer.as_str(), seen.shape), ("conv2d_2", [3, 3]));
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod augmented;
mod calibration;
mod convolved;
pub mod embedding;
mod filter;
mod frozen;
mod grad_cam;
mod gradient;
mod line_plot;
mod matrix;
mod op_runner;
mod outputs;
mod part;
mod saliency;

pub use augmented::{AugmentedImages, MixedImage, augmented, check_augmentation, mixed};
pub use calibration::{Calibration, CalibrationBin};
pub use convolved::convolved;
pub use filter::Filter;
pub(crate) use grad_cam::check_layer;
pub use grad_cam::{GradCam, grad_cam};
pub use line_plot::{LinePlot, Scale};
pub use matrix::{Matrix, number};
pub use outputs::{ForwardPass, LayerOutput, layer_outputs, to_floats};
pub use part::{up_to, with_weights_of};
pub use saliency::{Saliency, saliency};
