//! The operators, by what they do.

mod constants;
mod convolution;
mod dense;
mod elementwise;
mod joins;
mod moves;
mod normalization;
mod padding;
mod pool;
mod sums;
mod unsupported;
mod windows;

use super::inputs::Inputs;
use super::reading::GraphReading;
use super::value::GraphValue;
use crate::error::FormatError;

/// The value that a node makes.
///
/// # Errors
/// The node computes something that no layers compute.
pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let domain = inputs.node.proto.domain();
    if !["", "ai.onnx"].contains(&domain) {
        return Err(inputs.node.error(format!(
            "an operator or function of `{domain}`; export the network with ONNX's own operators"
        )));
    }
    if !inputs.flows() {
        return constants::evaluate(reading, inputs);
    }
    match inputs.node.operator() {
        "Shape" => constants::shape(inputs),
        "Identity" | "Dropout" | "Cast" | "Reshape" | "Flatten" | "Transpose" | "Squeeze"
        | "Unsqueeze" => moves::evaluate(reading, inputs),
        "Conv" => convolution::evaluate(reading, inputs),
        "Gemm" | "MatMul" => dense::evaluate(reading, inputs),
        "BatchNormalization" => normalization::batch(reading, inputs),
        "Softmax" => normalization::softmax(reading, inputs),
        "LogSoftmax" if is_output(reading, inputs) => normalization::softmax(reading, inputs),
        "MaxPool" | "AveragePool" => pool::windows(reading, inputs),
        "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceMax" => {
            pool::global(reading, inputs)
        }
        "Pad" => padding::evaluate(reading, inputs),
        "Concat" => joins::concatenation(reading, inputs),
        "Sum" => joins::sum(reading, inputs),
        _ => elementwise::evaluate(reading, inputs),
    }
}

/// Whether a node makes the graph's output.
fn is_output(reading: &GraphReading, inputs: &Inputs<'_>) -> bool {
    inputs.node.proto.output.first() == Some(&reading.output)
}
