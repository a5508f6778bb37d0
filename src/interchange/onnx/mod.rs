//! ONNX models.

pub(crate) mod messages;
mod read;
mod write;

pub use read::{from_bytes, read};
pub use write::{OnnxOptions as Options, to_bytes};
