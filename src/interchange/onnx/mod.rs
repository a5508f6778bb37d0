//! ONNX models.

pub(crate) mod messages;
