//! Operators that are not read.

use super::super::inputs::Inputs;
use crate::error::FormatError;

/// The operators that values which depend on the images can go through.
const SUPPORTED: &str = "Conv, Gemm, MatMul, BatchNormalization, MaxPool, AveragePool, \
    GlobalAveragePool, GlobalMaxPool, ReduceMean, ReduceMax, Pad, Flatten, Reshape, Transpose, \
    Squeeze, Unsqueeze, Concat, Sum, Dropout, Identity, Cast, Softmax, activations and arithmetic";

/// The error about an operator that is not read.
pub(super) fn unsupported(inputs: &Inputs<'_>) -> FormatError {
    let advice = match inputs.node.operator() {
        "LogSoftmax" => " but at the end; export the network without it, or with a softmax",
        "Erfc" | "StatefulPartitionedCall" => {
            "; it is TensorFlow's, not ONNX's: export from Keras with the JAX or PyTorch backend, or \
             read the .keras file"
        }
        "If" | "Loop" | "Scan" => "; export the network without control flow",
        _ => "",
    };
    (inputs.node).error(format!(
        "this operator cannot be read{advice}; expected {SUPPORTED}"
    ))
}
