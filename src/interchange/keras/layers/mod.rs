//! Layers in Keras's configuration: one function per layer in each direction.

mod augmentation;
mod common;
mod operation;
mod random;
mod read;
mod reshape;
#[cfg(test)]
mod tests;
mod write;

pub(super) use augmentation::{behind, crop, resizes_as_behind};
pub(super) use operation::operation;
pub(super) use read::{is_pointwise, merges, read};
pub(super) use reshape::reshaped;
pub(super) use write::{batch, class, write};
