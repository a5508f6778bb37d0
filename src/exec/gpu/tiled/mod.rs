//! The text of tiled kernels: one index map for convolutions, dense layers and their gradients.
//!
//! An invocation owns some output channels and a patch of pixels, holds one accumulator for each in
//! registers, and loops over input channels with the kernel's cells ("taps") unrolled. Sizes are
//! literal, so that the driver sees straight-line code; written by hand this would be a thousand
//! lines per shape, so it is written here. `shaders/conv2d.wgsl` says in twenty lines what these
//! kernels compute, and the checks hold them to it; `golden` has one text of each kind to read.
//!
//! Two ways lead the shared pixels to the invocations; see [`Fetch`](super::tuning::Fetch).
//!
//! `geometry` says what is computed, `tile_search` chooses how much of it an invocation does, `text` has what
//! all texts share, `epilogue` stores sums, and `correlation` and `weight_gradient` are the two kernels.

mod correlation;
mod epilogue;
mod geometry;
#[cfg(test)]
mod golden;
mod text;
mod tile_search;
mod weight_gradient;

pub use correlation::ExtraBindings;
pub use epilogue::Epilogue;
pub use geometry::{Correlation, Pool, Unpool, WeightGradient, cell_width};
