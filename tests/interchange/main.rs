//! Networks for and from other programs, compared with what those programs compute.

#![cfg(feature = "interchange")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
#[path = "../common/mod.rs"]
mod common;
mod expected;
mod keras;
#[path = "../properties/networks.rs"]
#[expect(dead_code, reason = "a trial has options for training too")]
mod networks;
mod onnx_export;
mod onnx_import;
mod outputs;
mod torch;
