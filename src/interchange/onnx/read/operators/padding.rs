//! Cells around images.

use super::super::inputs::Inputs;
use super::super::link::{LinkKind, NeutralCells};
use super::super::placement::Sides;
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::{AxisView, ImagePlaces};
use crate::error::FormatError;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let mode = inputs.node.text("mode").unwrap_or("constant");
    let value = inputs.number("value", 2)?.unwrap_or(0.0);
    let cells = match mode {
        "constant" if value == 0.0 => None,
        "constant" if value <= f32::MIN => Some(NeutralCells::Lowest),
        "edge" => Some(NeutralCells::Copies),
        _ => {
            return Err(inputs.node.error(format!(
                "pads with {value} in mode `{mode}`; expected zeros in mode `constant`"
            )));
        }
    };
    let image = reading.links.image(flow);
    let found = image.and_then(|image| Some((image, flow.view.places(image)?)));
    let Some((image, places)) = found else {
        return Err(not_images(inputs, flow));
    };
    let sides = sides(inputs, flow, places)?;
    let [[top, bottom], [left, right]] = sides;
    let [height, width, channels] = image;
    let output = [
        height.saturating_add(top).saturating_add(bottom),
        width.saturating_add(left).saturating_add(right),
        channels,
    ];
    let view = AxisView::image(places, flow.view.batch(), output);
    let kind = match cells {
        None => LinkKind::Zeros(sides),
        Some(cells) => LinkKind::Neutral(sides, cells),
    };
    reading.layer(inputs, flow, kind, (output.to_vec(), view))
}

fn not_images(inputs: &Inputs<'_>, flow: &Flow) -> FormatError {
    let message = format!(
        "pads [{}]; expected the height and width of images",
        flow.view
    );
    inputs.node.error(message)
}

/// The number of cells on each side of an image.
fn sides(inputs: &Inputs<'_>, flow: &Flow, places: ImagePlaces) -> Result<Sides, FormatError> {
    let rank = flow.view.rank();
    let pads = inputs.setting("pads", 1)?.unwrap_or_default();
    let axes = (inputs.axes(3, rank)?).unwrap_or_else(|| (0..rank).collect());
    if pads.len() != 2 * axes.len() {
        let message = format!(
            "expected {} numbers of cells, found {}",
            2 * axes.len(),
            pads.len()
        );
        return Err(inputs.node.error(message));
    }
    let mut sides = Sides::default();
    let (before, behind) = pads.split_at(axes.len());
    for ((&axis, &before), &behind) in axes.iter().zip(before).zip(behind) {
        let cells = [before, behind].map(|n| usize::try_from(n).ok());
        let [Some(before), Some(behind)] = cells else {
            return Err(inputs
                .node
                .error("crops images (a negative number of cells); expected padding"));
        };
        match axis {
            _ if axis == places.height => sides[0] = [before, behind],
            _ if axis == places.width => sides[1] = [before, behind],
            _ if before == 0 && behind == 0 => {}
            _ => return Err(not_images(inputs, flow)),
        }
    }
    Ok(sides)
}
