//! Activations and arithmetic.

use super::super::extent::rows;
use super::super::factors::Factors;
use super::super::inputs::Inputs;
use super::super::nd_array::NdArray;
use super::super::reading::GraphReading;
use super::super::terms::{Function, Term, TermOperand, TermOperation};
use super::super::value::{Floats, Flow, GraphValue};
use super::unsupported::unsupported;
use super::{joins, sums};
use crate::error::FormatError;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let operator = inputs.node.operator();
    let operation = operation(operator).or_else(|| comparison(operator));
    if operation.is_some() || operator == "Where" {
        return combined(reading, inputs, operation);
    }
    let function = function(inputs)?.ok_or_else(|| unsupported(inputs))?;
    let flow = inputs.flow(0)?;
    let term = Term::Unary(function, flow.term);
    Ok(GraphValue::Flow(reading.links.apply(
        &inputs.node,
        flow,
        term,
    )))
}

/// The operation that an operator is.
pub(super) fn operation(operator: &str) -> Option<TermOperation> {
    Some(match operator {
        "Add" => TermOperation::Add,
        "Sub" => TermOperation::Sub,
        "Mul" => TermOperation::Mul,
        "Div" => TermOperation::Div,
        "Min" => TermOperation::Min,
        "Max" => TermOperation::Max,
        "Pow" => TermOperation::Pow,
        _ => return None,
    })
}

/// The comparison that an operator is.
fn comparison(operator: &str) -> Option<TermOperation> {
    Some(match operator {
        "Greater" | "GreaterOrEqual" => TermOperation::Greater,
        "Less" | "LessOrEqual" => TermOperation::Less,
        _ => return None,
    })
}

/// The function that an operator is, with the operator's defaults.
fn function(inputs: &Inputs<'_>) -> Result<Option<Function>, FormatError> {
    let number = |name, default: f32| f64::from(inputs.node.float(name).unwrap_or(default));
    Ok(Some(match inputs.node.operator() {
        "Abs" => Function::Abs,
        "Celu" | "Elu" if number("alpha", 1.0) == 1.0 => Function::Elu(1.0),
        "Clip" => clip(inputs)?,
        "Elu" => Function::Elu(number("alpha", 1.0)),
        "Erf" => Function::Erf,
        "Exp" => Function::Exp,
        "Gelu" if inputs.node.text("approximate") == Some("tanh") => Function::TanhGelu,
        "Gelu" => Function::Gelu,
        "LeakyRelu" => Function::LeakyRelu(number("alpha", 0.01)),
        "Log" => Function::Log,
        "Neg" => Function::Neg,
        "PRelu" => Function::LeakyRelu(slope(inputs)?),
        "Reciprocal" => Function::Reciprocal,
        "Relu" => Function::Relu,
        "Selu" => Function::Selu {
            alpha: number("alpha", 1.673_263_2),
            gamma: number("gamma", 1.050_701),
        },
        "Sigmoid" => Function::Sigmoid,
        "Softplus" => Function::Softplus,
        "Swish" => Function::Swish(number("alpha", 1.0)),
        "Tanh" => Function::Tanh,
        _ => return Ok(None),
    }))
}

fn clip(inputs: &Inputs<'_>) -> Result<Function, FormatError> {
    let low = inputs
        .number("min", 1)?
        .map_or(f64::NEG_INFINITY, f64::from);
    let high = inputs.number("max", 2)?.map_or(f64::INFINITY, f64::from);
    Ok(Function::Clip(low, high))
}

/// The slope of a PRelu below zero, if it is the same for all channels.
fn slope(inputs: &Inputs<'_>) -> Result<f64, FormatError> {
    let slopes = inputs.numbers(1)?.array.elements();
    match slopes.split_first() {
        Some((first, rest)) if rest.iter().all(|slope| slope == first) => Ok(f64::from(*first)),
        _ => Err(inputs.unexpected(1, "the same slope for all channels")),
    }
}

/// An operation on two values, or a choice between two where a condition holds.
fn combined(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    operation: Option<TermOperation>,
) -> Result<GraphValue, FormatError> {
    let expected = if operation.is_some() { 2 } else { 3 };
    let found = inputs.values.len();
    if found != expected {
        return Err(inputs
            .node
            .error(format!("expected {expected} inputs, found {found}")));
    }
    let flow = inputs.first_flow()?;
    let mut others = inputs
        .all_flows()
        .filter(|other| other.output != flow.output);
    if others.next().is_some() {
        return match operation {
            Some(TermOperation::Add) => joins::sum(reading, inputs),
            _ => Err(joins::unknown(inputs)),
        };
    }
    if operation == Some(TermOperation::Div)
        && let Some(mean) = sums::mean_by_counts(reading, inputs)?
    {
        return Ok(mean);
    }
    let mut operand = |i| operand(reading, inputs, flow, i);
    let term = match operation {
        Some(operation) => Term::Binary(operation, operand(0)?, operand(1)?),
        None => Term::Select([operand(0)?, operand(1)?, operand(2)?]),
    };
    Ok(GraphValue::Flow(reading.links.apply(
        &inputs.node,
        flow,
        term,
    )))
}

/// Input `i`: another function of the elements that `flow` is a function of, one number for all
/// channels, or one for each.
fn operand(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    flow: &Flow,
    i: usize,
) -> Result<TermOperand, FormatError> {
    if let Some(GraphValue::Flow(other)) = inputs.get(i) {
        return match other.view == flow.view {
            true => Ok(TermOperand::Term(other.term)),
            false => Err(inputs.node.error("combines values of different shapes")),
        };
    }
    let numbers = inputs.numbers(i)?;
    reading.spend(&inputs.node, numbers.array.len())?;
    let factors = match numbers.array.len() {
        1 if numbers.array.dims().len() <= flow.view.rank() => Some(Factors::from(numbers)),
        _ => per_channel(reading, flow, numbers),
    };
    factors.map(TermOperand::Constant).ok_or_else(|| {
        inputs.node.error(format!(
            "expected one number for [{}] or one per channel, found {}",
            flow.view,
            crate::shape::dims(numbers.array.dims())
        ))
    })
}

/// One number per channel of a value with these axes, in this crate's order.
fn per_channel(reading: &GraphReading, flow: &Flow, numbers: &Floats) -> Option<Factors> {
    let view = &flow.view;
    let image = reading.links.image(flow);
    let axis = match image {
        Some(image) => view.places(image)?.channel,
        None => view.features().map(|_| 1)?,
    };
    let new = view.rank().checked_sub(numbers.array.dims().len())?;
    let sizes = view.sizes();
    let mut pairs = numbers.array.dims().iter().zip(sizes.get(new..)?);
    if !pairs.all(|(&own, &size)| own == 1 || Some(own) == size) {
        return None;
    }
    let along = axis.checked_sub(new)?;
    let channels = *numbers.array.dims().get(along)?;
    if Some(&channels) != reading.links.shape(flow).last() {
        return None;
    }
    let vector = (0..numbers.array.dims().len())
        .filter(|&i| i != along)
        .try_fold(numbers.array.clone(), |array, i| without(&array, i))?;
    let order = if image.is_none() {
        rows(view.axis(1))
    } else {
        None
    };
    let moved = match order {
        Some(order) => {
            let moved = order.iter().map(|&row| vector.elements().get(row).copied());
            NdArray::vector(moved.collect::<Option<_>>()?)
        }
        None => vector.reshaped(vec![channels])?,
    };
    Some(Factors::from(&numbers.derived(moved)))
}

/// The array with size 1 along an axis, if all elements along it are the same.
fn without(array: &NdArray<f32>, axis: usize) -> Option<NdArray<f32>> {
    let first = array.sliced(axis, 0, 1, 1)?;
    let repeated = first.broadcast(array.dims())?;
    (repeated.elements() == array.elements()).then_some(first)
}
