//! The text of tiled kernels: one index scheme for convolutions, dense layers and their gradients.
//!
//! An invocation computes some output channels of a patch of pixels: it holds an accumulator for
//! each in registers and loops over input channels, with the kernel's cells ("taps") unrolled.
//! Sizes are literals, so that the driver sees straight-line code. By hand this would be a thousand
//! lines per shape, so the text is generated. `shaders/conv2d.wgsl` states in a few lines what
//! these kernels compute, and the checks compare with it; `golden` has one text of each kind to
//! read.
//!
//! Invocations obtain shared pixels in one of two ways; see [`Fetch`](super::tuning::Fetch).
//!
//! `geometry` defines what is computed, `tile_search` chooses the tile of an invocation, `text`
//! holds what all texts share, `epilogue` stores sums, and `correlation` and `weight_gradient` are
//! the two kernels.

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
