//! Nodes that do not depend on the images: weights that are transposed or folded, and shapes.

mod arithmetic;
mod convolution;
mod moved;

use super::super::inputs::Inputs;
use super::super::nd_array::{NdArray, count};
use super::super::reading::GraphReading;
use super::super::tensor::decode;
use super::super::value::{Floats, GraphValue};
use crate::error::FormatError;

/// `TensorProto.DataType`
const FLOAT: i64 = 1;
const INT32: i64 = 6;
const INT64: i64 = 7;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    match inputs.node.operator() {
        "Constant" => {
            let value = constant(inputs)?;
            reading.links.budget.earn(value.constants());
            Ok(value)
        }
        "ConstantOfShape" => constant_of_shape(reading, inputs),
        "Shape" => shape(inputs),
        "Cast" => cast(reading, inputs),
        "Identity" | "Dropout" => inputs.first().cloned(),
        "Conv" => convolution::evaluate(reading, inputs),
        "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Gather" | "Concat"
        | "Expand" | "Flatten" => moved::evaluate(reading, inputs),
        _ => arithmetic::evaluate(reading, inputs),
    }
}

fn constant(inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let node = &inputs.node;
    let numbers = |array| GraphValue::Floats(Floats::new(array));
    if let Some(tensor) = node.tensor("value") {
        return decode(tensor, None).map_err(|e| e.within(&node.label()));
    }
    if let Some(float) = node.float("value_float") {
        return Ok(numbers(NdArray::scalar(float)));
    }
    if let Some(floats) = node.floats("value_floats") {
        return Ok(numbers(NdArray::vector(floats.to_vec())));
    }
    if let Some(int) = node.int("value_int") {
        return Ok(GraphValue::Integers(NdArray::scalar(Some(int))));
    }
    match node.ints("value_ints") {
        Some(ints) => {
            let ints = ints.iter().map(|&i| Some(i)).collect();
            Ok(GraphValue::Integers(NdArray::vector(ints)))
        }
        None => Err(node.error("expected numbers or integers as its value")),
    }
}

fn constant_of_shape(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let dims = inputs.sizes(0)?;
    let n = count(&dims).unwrap_or(usize::MAX);
    reading.spend(&inputs.node, n)?;
    let wrong = || inputs.node.error("expected one number as its value");
    let value = match inputs.node.tensor("value") {
        Some(tensor) => decode(tensor, None).map_err(|e| e.within(&inputs.node.label()))?,
        None => GraphValue::Floats(Floats::new(NdArray::scalar(0.0))),
    };
    match value {
        GraphValue::Floats(numbers) => {
            let value = *numbers.array.single().ok_or_else(wrong)?;
            let array = NdArray::new(dims, vec![value; n]).ok_or_else(wrong)?;
            Ok(GraphValue::Floats(Floats::new(array)))
        }
        GraphValue::Integers(integers) => {
            let value = *integers.single().ok_or_else(wrong)?;
            let array = NdArray::new(dims, vec![value; n]).ok_or_else(wrong)?;
            Ok(GraphValue::Integers(array))
        }
        GraphValue::Flow(_) => Err(wrong()),
    }
}

/// The sizes of the axes of the input; that of the batch is unknown unless the graph fixes it.
pub(super) fn shape(inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let constant = |dims: &[usize]| dims.iter().map(|&size| Some(size)).collect();
    let sizes: Vec<Option<usize>> = match inputs.first()? {
        GraphValue::Flow(flow) => flow.view.sizes(),
        GraphValue::Floats(numbers) => constant(numbers.array.dims()),
        GraphValue::Integers(integers) => constant(integers.dims()),
    };
    let n = i64::try_from(sizes.len()).unwrap_or(i64::MAX);
    let place = |name, default: i64| {
        let at = inputs.node.int(name).unwrap_or(default);
        let at = if at < 0 { at.saturating_add(n) } else { at };
        usize::try_from(at.clamp(0, n)).unwrap_or(0)
    };
    let (start, end) = (place("start", 0), place("end", n));
    let part = sizes.get(start..end.max(start)).unwrap_or_default();
    let part = part
        .iter()
        .map(|size| size.and_then(|n| i64::try_from(n).ok()));
    Ok(GraphValue::Integers(NdArray::vector(part.collect())))
}

fn cast(reading: &mut GraphReading, inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let wrong = || {
        inputs
            .node
            .error("casts constants to a type other than float32 or int64")
    };
    match (inputs.first()?, inputs.node.int("to").unwrap_or(0)) {
        (same @ GraphValue::Floats(_), FLOAT) | (same @ GraphValue::Integers(_), INT32 | INT64) => {
            Ok(same.clone())
        }
        (GraphValue::Floats(numbers), INT32 | INT64) => {
            reading.spend(&inputs.node, numbers.array.len())?;
            // As in most languages, to the integer nearer to zero.
            let integers = numbers.array.map(|&v| Some(v as i64));
            Ok(GraphValue::Integers(integers))
        }
        (GraphValue::Integers(integers), FLOAT) => {
            reading.spend(&inputs.node, integers.len())?;
            if integers.elements().contains(&None) {
                return Err(inputs.node.error("computes with the number of images"));
            }
            let numbers = integers.map(|v| v.unwrap_or(0) as f32);
            Ok(GraphValue::Floats(Floats::new(numbers)))
        }
        _ => Err(wrong()),
    }
}
