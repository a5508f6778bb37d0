//! Sums and concatenations of several layers.

use super::super::extent::{are_in_order, product};
use super::super::inputs::Inputs;
use super::super::link::LinkKind;
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::{AxisView, ImagePlaces};
use crate::error::FormatError;

/// Tensors have fewer elements than this.
const MOST: usize = 1 << 31;

/// Add and Sum of values that depend on the images.
pub(super) fn sum(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flows = all(inputs)?;
    let (first, others) = flows.split_first().ok_or_else(|| unknown(inputs))?;
    if others.is_empty() {
        return Ok(GraphValue::Flow((*first).clone()));
    }
    let shape = reading.links.shape(first).to_vec();
    let view = match others.iter().all(|other| other.view == first.view) {
        true => first.view.clone(),
        false => {
            let vector = vector(reading, first).filter(|_| are_vectors(reading, &flows));
            let features = vector.ok_or_else(|| different(inputs, first, others))?;
            AxisView::vector(first.view.batch(), features)
        }
    };
    if (others.iter()).any(|other| reading.links.shape(other) != shape) {
        return Err(different(inputs, first, others));
    }
    joined(reading, inputs, &flows, LinkKind::Sum, (shape, view))
}

/// Concat of values that depend on the images.
pub(super) fn concatenation(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flows = all(inputs)?;
    let (first, others) = flows.split_first().ok_or_else(|| unknown(inputs))?;
    let rank = first.view.rank();
    let axis = (inputs.node.int("axis"))
        .ok_or_else(|| inputs.node.error("expected the attribute `axis`"))?;
    let axis = inputs.node.axis(axis, rank)?;
    if others.is_empty() {
        return Ok(GraphValue::Flow((*first).clone()));
    }
    let mut widths = flows.iter().map(|flow| reading.links.shape(flow).last());
    let width = widths.try_fold(0usize, |sum, width| sum.checked_add(*width?));
    let width = width.filter(|&width| width < MOST);
    let width = width.ok_or_else(|| inputs.node.error("makes 2^31 channels or more"))?;
    let batch = first.view.batch();
    let found = match reading.links.image(first) {
        Some([height, width_of_image, _]) => {
            let image = [height, width_of_image, width];
            places(reading, &flows, axis)
                .map(|places| (image.to_vec(), AxisView::image(places, batch, image)))
        }
        None => (axis == 1 && are_vectors(reading, &flows))
            .then(|| (vec![width], AxisView::vector(batch, width))),
    };
    let found = found.ok_or_else(|| {
        inputs.node.error(format!(
            "concatenates {} along axis {axis}; expected channels of images of one size, or features of vectors in \
             one order",
            views(&flows)
        ))
    })?;
    joined(reading, inputs, &flows, LinkKind::Concatenation, found)
}

/// Adds a layer that takes all these values.
fn joined(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    flows: &[&Flow],
    kind: LinkKind,
    (shape, view): (Vec<usize>, AxisView),
) -> Result<GraphValue, FormatError> {
    let settled = flows
        .iter()
        .map(|flow| reading.links.settle(&inputs.node, flow));
    let settled: Vec<usize> = settled.collect::<Result<_, _>>()?;
    let output = (reading.links).push(&inputs.node, kind, &settled, shape)?;
    Ok(GraphValue::Flow(reading.links.flow(output, view)))
}

/// All inputs, which must depend on the images.
fn all<'a>(inputs: &'a Inputs<'_>) -> Result<Vec<&'a Flow>, FormatError> {
    (0..inputs.values.len()).map(|i| inputs.flow(i)).collect()
}

/// The number of features, if a value is `[batch, features]` in this crate's order. `[batch]` is something else: ONNX
/// would add it along the features.
fn vector(reading: &GraphReading, flow: &Flow) -> Option<usize> {
    let features = flow
        .view
        .features()
        .filter(|features| are_in_order(features))?;
    let is_vector = flow.view.rank() == 2 && reading.links.image(flow).is_none();
    product(features).filter(|_| is_vector)
}

/// Whether all values are vectors of as many images as the first.
fn are_vectors(reading: &GraphReading, flows: &[&Flow]) -> bool {
    let batch = flows.first().map(|first| first.view.batch());
    let same = |flow: &&Flow| Some(flow.view.batch()) == batch;
    (flows.iter()).all(|flow| same(flow) && vector(reading, flow).is_some())
}

/// Where the axes of images are, if they are in the same places of all values, sizes are equal, and this axis is that of
/// the channels.
fn places(reading: &GraphReading, flows: &[&Flow], axis: usize) -> Option<ImagePlaces> {
    let first = flows.first()?;
    let new = first.view.rank().checked_sub(4)?;
    let [height, width, _] = reading.links.image(first)?;
    let fits = |places: &ImagePlaces, flow: &&Flow| match reading.links.image(flow) {
        Some(image @ [h, w, _]) if [h, w] == [height, width] => {
            flow.view == AxisView::image(*places, first.view.batch(), image)
        }
        _ => false,
    };
    [ImagePlaces::CHANNELS_FIRST, ImagePlaces::CHANNELS_LAST]
        .map(|order| order.behind(new))
        .into_iter()
        .find(|places| places.channel == axis && flows.iter().all(|flow| fits(places, flow)))
}

fn different(inputs: &Inputs<'_>, first: &Flow, others: &[&Flow]) -> FormatError {
    let all: Vec<&Flow> = std::iter::once(first)
        .chain(others.iter().copied())
        .collect();
    inputs.node.error(format!(
        "adds {}; expected one shape and one order of elements",
        views(&all)
    ))
}

/// The sizes of the first values.
fn views(flows: &[&Flow]) -> String {
    let first = flows.iter().take(3).map(|flow| format!("[{}]", flow.view));
    let more = if flows.len() > 3 { ", …" } else { "" };
    format!("{}{more}", first.collect::<Vec<_>>().join(" and "))
}

/// The error that an operator joins values in another way.
pub(super) fn unknown(inputs: &Inputs<'_>) -> FormatError {
    (inputs.node)
        .error("joins branches of the network; only their sum (Add, Sum) and Concat can be read")
}
