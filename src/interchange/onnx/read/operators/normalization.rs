//! Batch normalization, and softmax.

use super::super::extent::{Extent, ImageAxis, rows};
use super::super::inputs::Inputs;
use super::super::link::{LinkKind, NormalizationLink};
use super::super::nd_array::NdArray;
use super::super::reading::GraphReading;
use super::super::value::{Floats, Flow, GraphValue};
use crate::error::FormatError;
use crate::model::Activation;

pub(super) fn batch(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    check_mode(inputs)?;
    let flow = inputs.flow(0)?;
    let image = reading.links.image(flow);
    let fits = image.map_or(flow.view.features().is_some(), |image| {
        flow.view.is_channels_first(image)
    });
    if !fits {
        return Err(not_channels_first(inputs, flow));
    }
    let channels = reading.links.shape(flow).last().copied().unwrap_or(1);
    reading.spend(&inputs.node, channels.saturating_mul(4))?;
    let order = if image.is_none() {
        rows(flow.view.axis(1))
    } else {
        None
    };
    let vector = |i| vector(inputs, i, channels, order.as_deref());
    let kind = LinkKind::Normalization(NormalizationLink {
        gamma: vector(1)?,
        beta: vector(2)?,
        mean: vector(3)?,
        variance: vector(4)?,
        epsilon: inputs.node.float("epsilon").unwrap_or(1e-5),
    });
    let same = (reading.links.shape(flow).to_vec(), flow.view.clone());
    reading.layer(inputs, flow, kind, same)
}

/// Checks that stored statistics are used, one per channel.
fn check_mode(inputs: &Inputs<'_>) -> Result<(), FormatError> {
    let wrong = match () {
        () if inputs.node.flag("training_mode") => {
            "the network was exported in training mode (training_mode = 1); export it for inference"
        }
        () if inputs.node.int("spatial") == Some(0) => {
            "normalizes each pixel (spatial = 0); expected each channel"
        }
        () => return Ok(()),
    };
    Err(inputs.node.error(wrong))
}

/// Input `i`, one number per channel, in this order.
fn vector(
    inputs: &Inputs<'_>,
    i: usize,
    channels: usize,
    order: Option<&[usize]>,
) -> Result<Floats, FormatError> {
    let numbers = inputs.numbers(i)?;
    let wrong = || inputs.unexpected(i, &format!("{channels} numbers"));
    if numbers.array.dims() != [channels] {
        return Err(wrong());
    }
    let Some(order) = order else {
        return Ok(numbers.clone());
    };
    let moved = (order.iter()).map(|&row| numbers.array.elements().get(row).copied());
    let moved: Vec<f32> = moved.collect::<Option<_>>().ok_or_else(wrong)?;
    Ok(numbers.derived(NdArray::vector(moved)))
}

/// The error that images are not in the order that ONNX's operators need.
pub(super) fn not_channels_first(inputs: &Inputs<'_>, flow: &Flow) -> FormatError {
    inputs.node.error(format!(
        "expected images [batch, channels, height, width], found [{}] in another order",
        flow.view
    ))
}

pub(super) fn softmax(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let rank = flow.view.rank();
    // Before opset 13, all axes from this one on were taken together.
    let (default, joint) = if inputs.node.opset < 13 {
        (1, true)
    } else {
        (-1, false)
    };
    let axis = inputs
        .node
        .axis(inputs.node.int("axis").unwrap_or(default), rank)?;
    let alone = !joint || (axis + 1..rank).all(|i| flow.view.axis(i).is_empty());
    if !alone || !is_last_axis(reading, flow, axis) {
        return Err(inputs.node.error(format!(
            "takes the softmax of [{}] over axis {axis}; expected that of the channels or features",
            flow.view
        )));
    }
    let same = (reading.links.shape(flow).to_vec(), flow.view.clone());
    reading.layer(
        inputs,
        flow,
        LinkKind::Activation(Activation::Softmax),
        same,
    )
}

/// Whether an axis is that of the channels, or of all features.
fn is_last_axis(reading: &GraphReading, flow: &Flow, axis: usize) -> bool {
    let is_channel = |e: &Extent| e.axis == ImageAxis::Channel;
    match reading.links.image(flow) {
        Some([_, _, 1]) => flow.view.axis(axis).is_empty(),
        Some(_) => matches!(flow.view.axis(axis), [e] if is_channel(e)),
        None => flow.view.features().is_some() && axis == 1,
    }
}
