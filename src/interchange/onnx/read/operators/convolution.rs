//! Convolutions.

use super::super::inputs::Inputs;
use super::super::link::{ConvolutionLink, LinkKind};
use super::super::reading::GraphReading;
use super::super::value::{Floats, GraphValue};
use super::super::view::{AxisView, ImagePlaces};
use super::normalization::not_channels_first;
use super::sums;
use super::windows::{WindowAxes, outputs};
use crate::error::FormatError;
use crate::shape::dims;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    if let Some(sum) = sums::sum_by_ones(reading, inputs, flow)? {
        return Ok(sum);
    }
    let image = reading.links.image(flow);
    let Some(image) = image.filter(|&image| flow.view.is_channels_first(image)) else {
        return Err(not_channels_first(inputs, flow));
    };
    let kernel = inputs.numbers(1)?;
    reading.spend(&inputs.node, kernel.array.len())?;
    let layer = layer(inputs, kernel, image)?;
    let [height, width, _] = image;
    let [height, width] = outputs(inputs, &layer.over, [height, width])?;
    let filters = kernel.array.dims().first().copied().unwrap_or(1);
    let output = [height, width, filters];
    let view = AxisView::image(ImagePlaces::CHANNELS_FIRST, flow.view.batch(), output);
    reading.layer(
        inputs,
        flow,
        LinkKind::Convolution(layer),
        (output.to_vec(), view),
    )
}

fn layer(
    inputs: &Inputs<'_>,
    kernel: &Floats,
    [height, width, channels]: [usize; 3],
) -> Result<ConvolutionLink, FormatError> {
    let groups = inputs.node.int("group").unwrap_or(1);
    let groups = usize::try_from(groups).unwrap_or(0);
    let &[filters, depth, kh, kw] = kernel.array.dims() else {
        return Err(inputs.unexpected(1, "a kernel of 4 axes"));
    };
    let fits = depth.checked_mul(groups) == Some(channels)
        && filters > 0
        && filters.checked_rem(groups) == Some(0);
    if !fits {
        return Err(inputs.node.error(format!(
            "a kernel of {} with {groups} groups does not fit {channels} channels",
            dims(kernel.array.dims())
        )));
    }
    let axes = WindowAxes::new(inputs, vec![kh, kw])?;
    let over = axes.placement(inputs, [height, width], [Some(0), Some(1)])?;
    if over.strides != [1, 1] && over.dilation != [1, 1] {
        return Err(inputs
            .node
            .error("strides with dilations are not supported; expected one of them"));
    }
    Ok(ConvolutionLink {
        kernel: kernel.clone(),
        bias: bias(inputs, filters)?,
        groups,
        over,
    })
}

fn bias(inputs: &Inputs<'_>, filters: usize) -> Result<Option<Floats>, FormatError> {
    match inputs.optional_numbers(2)? {
        Some(bias) if bias.array.dims() != [filters] => {
            Err(inputs.unexpected(2, &format!("{filters} numbers")))
        }
        bias => Ok(bias.cloned()),
    }
}
