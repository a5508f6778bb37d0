//! Operators that pass elements on, in another shape or order.

use super::super::inputs::Inputs;
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::AxisView;
use crate::error::FormatError;

/// `TensorProto.DataType`
const FLOAT: i64 = 1;

pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let view = match inputs.node.operator() {
        "Dropout" => return dropout(inputs, flow),
        "Cast" => return cast(inputs, flow),
        "Reshape" => reshape(inputs, flow)?,
        "Flatten" => flatten(inputs, flow)?,
        "Transpose" => transpose(inputs, flow)?,
        "Squeeze" => squeeze(inputs, flow)?,
        "Unsqueeze" => unsqueeze(inputs, flow)?,
        _ => return Ok(GraphValue::Flow(flow.clone())),
    };
    reading.viewed(inputs, flow, view)
}

fn dropout(inputs: &Inputs<'_>, flow: &Flow) -> Result<GraphValue, FormatError> {
    // The third input is whether to drop anything.
    match inputs.setting("training_mode", 2)?.as_deref() {
        None | Some([0]) => Ok(GraphValue::Flow(flow.clone())),
        Some(_) => Err(inputs
            .node
            .error("the network was exported in training mode; export it for inference")),
    }
}

fn cast(inputs: &Inputs<'_>, flow: &Flow) -> Result<GraphValue, FormatError> {
    match inputs.node.int("to") {
        Some(FLOAT) => Ok(GraphValue::Flow(flow.clone())),
        _ => Err(inputs.node.error(
            "computes in another type than float32; convert the network to float32 before it is exported",
        )),
    }
}

fn reshape(inputs: &Inputs<'_>, flow: &Flow) -> Result<AxisView, FormatError> {
    let sizes = inputs.integers(1)?.elements();
    let reshaped = flow.view.reshaped(sizes, inputs.node.flag("allowzero"));
    reshaped.ok_or_else(|| {
        let wanted: Vec<String> = (sizes.iter())
            .map(|size| size.map_or("batch".into(), |n| n.to_string()))
            .collect();
        inputs.node.error(format!(
            "the shape [{}] splits or mixes axes of [{}]; expected one that flattens images",
            wanted.join(", "),
            flow.view
        ))
    })
}

fn flatten(inputs: &Inputs<'_>, flow: &Flow) -> Result<AxisView, FormatError> {
    let axis = inputs.node.int("axis").unwrap_or(1);
    let axis = inputs.node.axis(axis, flow.view.rank() + 1)?;
    let flattened = flow
        .view
        .flattened(axis)
        .filter(|view| view.features().is_some());
    flattened.ok_or_else(|| {
        let message = format!(
            "flattens [{}] from axis {axis}; expected one row per image",
            flow.view
        );
        inputs.node.error(message)
    })
}

fn transpose(inputs: &Inputs<'_>, flow: &Flow) -> Result<AxisView, FormatError> {
    let rank = flow.view.rank();
    let order: Option<Vec<usize>> = match inputs.node.ints("perm") {
        Some(order) => order.iter().map(|&i| usize::try_from(i).ok()).collect(),
        None => Some((0..rank).rev().collect()),
    };
    let transposed = order.and_then(|order| flow.view.transposed(&order));
    transposed.ok_or_else(|| {
        let order = inputs.node.ints("perm").unwrap_or_default();
        (inputs.node).error(format!("{order:?} is not an order of {rank} axes"))
    })
}

fn squeeze(inputs: &Inputs<'_>, flow: &Flow) -> Result<AxisView, FormatError> {
    let axes = match inputs.axes(1, flow.view.rank())? {
        Some(axes) => Some(axes),
        None => flow.view.ones(),
    };
    let squeezed = axes.and_then(|axes| flow.view.squeezed(&axes));
    squeezed.ok_or_else(|| {
        let message = format!("expected to remove axes of size 1 from [{}]", flow.view);
        inputs.node.error(message)
    })
}

fn unsqueeze(inputs: &Inputs<'_>, flow: &Flow) -> Result<AxisView, FormatError> {
    let new = inputs.setting("axes", 1)?.unwrap_or_default().len();
    let axes = inputs.axes(1, flow.view.rank() + new)?.unwrap_or_default();
    let unsqueezed = flow.view.unsqueezed(&axes);
    unsqueezed.ok_or_else(|| inputs.node.error("its axes are not different ones"))
}
