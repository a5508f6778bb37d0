//! Layers in Keras's configuration: one function per layer in each direction.

mod common;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub(super) use read::{is_pointwise, read};
pub(super) use write::{class, write};
