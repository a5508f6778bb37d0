//! ONNX models.

pub(crate) mod messages;
mod write;

pub use write::{OnnxOptions as Options, to_bytes};
