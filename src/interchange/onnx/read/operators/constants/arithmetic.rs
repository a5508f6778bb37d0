//! Arithmetic on constants.

use super::super::super::inputs::Inputs;
use super::super::super::nd_array::{NdArray, common_dims, count};
use super::super::super::reading::GraphReading;
use super::super::super::terms::TermOperation;
use super::super::super::value::{Floats, GraphValue, merged};
use super::super::elementwise::operation;
use super::super::unsupported::unsupported;
use crate::error::FormatError;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    match operation(inputs.node.operator()) {
        Some(operation) => binary(reading, inputs, operation),
        None => unary(reading, inputs),
    }
}

fn unary(reading: &mut GraphReading, inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let function: fn(f64) -> f64 = match inputs.node.operator() {
        "Abs" => f64::abs,
        "Exp" => f64::exp,
        "Log" => f64::ln,
        "Neg" => |v| -v,
        "Reciprocal" => f64::recip,
        "Sqrt" => f64::sqrt,
        "ReduceProd" => return product(inputs),
        _ => return Err(unsupported(inputs)),
    };
    if let (GraphValue::Integers(integers), "Neg") = (inputs.first()?, inputs.node.operator()) {
        reading.spend(&inputs.node, integers.len())?;
        return known(inputs, integers.map(|v| v.map(i64::checked_neg)));
    }
    let numbers = inputs.numbers(0)?;
    reading.spend(&inputs.node, numbers.array.len())?;
    let array = numbers.array.map(|&v| function(f64::from(v)) as f32);
    Ok(GraphValue::Floats(numbers.derived(array)))
}

/// The product of all integers, as of a shape's sizes.
fn product(inputs: &Inputs<'_>) -> Result<GraphValue, FormatError> {
    let integers = inputs.integers(0)?;
    let product = (integers.elements().iter()).try_fold(1i64, |n, size| n.checked_mul((*size)?));
    let Some(product) = product.filter(|_| integers.dims().len() == 1) else {
        return Err(inputs.unexpected(0, "known sizes"));
    };
    Ok(GraphValue::Integers(match inputs.node.int("keepdims") {
        Some(0) => NdArray::scalar(Some(product)),
        _ => NdArray::vector(vec![Some(product)]),
    }))
}

fn binary(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    operation: TermOperation,
) -> Result<GraphValue, FormatError> {
    match (inputs.get(0), inputs.get(1), inputs.values.len()) {
        (Some(GraphValue::Floats(a)), Some(GraphValue::Floats(b)), 2) => {
            let combine = |&a: &f32, &b: &f32| operation.apply(a.into(), b.into()) as f32;
            Ok(GraphValue::Floats(Floats {
                array: zipped(reading, inputs, (&a.array, &b.array), combine)?,
                origins: merged(&[&a.origins, &b.origins]),
            }))
        }
        (Some(GraphValue::Integers(a)), Some(GraphValue::Integers(b)), 2) => {
            let combine = |&a: &Option<i64>, &b: &Option<i64>| integer(operation, a, b);
            known(inputs, zipped(reading, inputs, (a, b), combine)?)
        }
        _ => Err(inputs
            .node
            .error("expected 2 inputs, both numbers or both integers")),
    }
}

/// The result on two integers, `None` if it is not one; the inner `None` is the number of images.
fn integer(operation: TermOperation, a: Option<i64>, b: Option<i64>) -> Option<Option<i64>> {
    let (Some(a), Some(b)) = (a, b) else {
        return match (operation, a, b) {
            (TermOperation::Mul, None, Some(1)) | (TermOperation::Mul, Some(1), None) => Some(None),
            _ => None,
        };
    };
    let result = match operation {
        TermOperation::Add => a.checked_add(b),
        TermOperation::Sub => a.checked_sub(b),
        TermOperation::Mul => a.checked_mul(b),
        TermOperation::Div => a.checked_div(b),
        TermOperation::Min => Some(a.min(b)),
        TermOperation::Max => Some(a.max(b)),
        TermOperation::Pow | TermOperation::Greater | TermOperation::Less => None,
    };
    result.map(Some)
}

/// The integers, if all could be computed.
fn known(
    inputs: &Inputs<'_>,
    integers: NdArray<Option<Option<i64>>>,
) -> Result<GraphValue, FormatError> {
    if integers.elements().contains(&None) {
        return Err(inputs.node.error("computes with the number of images"));
    }
    Ok(GraphValue::Integers(integers.map(|v| v.flatten())))
}

fn zipped<T: Clone, U: Clone>(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    (a, b): (&NdArray<T>, &NdArray<T>),
    combine: impl Fn(&T, &T) -> U,
) -> Result<NdArray<U>, FormatError> {
    let wrong = || inputs.node.error("the shapes of its constants do not fit");
    let dims = common_dims(a.dims(), b.dims()).ok_or_else(wrong)?;
    let n = count(&dims).ok_or_else(wrong)?;
    reading.spend(&inputs.node, n.saturating_mul(3))?;
    let (a, b) = (a.broadcast(&dims), b.broadcast(&dims));
    let (a, b) = (a.ok_or_else(wrong)?, b.ok_or_else(wrong)?);
    let elements = a.elements().iter().zip(b.elements());
    NdArray::new(dims, elements.map(|(a, b)| combine(a, b)).collect()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_images_stays_unknown() {
        assert_eq!(integer(TermOperation::Mul, None, Some(1)), Some(None));
        assert_eq!(integer(TermOperation::Mul, None, Some(2)), None);
        assert_eq!(integer(TermOperation::Add, None, None), None);
        assert_eq!(integer(TermOperation::Div, Some(7), Some(2)), Some(Some(3)));
        assert_eq!(integer(TermOperation::Div, Some(7), Some(0)), None);
        assert_eq!(integer(TermOperation::Add, Some(i64::MAX), Some(1)), None);
    }
}
