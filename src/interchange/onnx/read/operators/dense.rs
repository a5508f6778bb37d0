//! Fully connected layers.

use super::super::extent::{Extent, places, product};
use super::super::factors::Factors;
use super::super::inputs::Inputs;
use super::super::link::{ConnectionLink, LinkKind};
use super::super::reading::GraphReading;
use super::super::value::{Floats, GraphValue};
use super::super::view::AxisView;
use crate::error::FormatError;
use crate::shape::dims;

/// `x B`, or `alpha x B + beta C`.
pub(super) fn evaluate(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let Some(features) = flow.view.features() else {
        return Err(inputs.node.error(format!(
            "expected one row per image, found [{}]; flatten the images before it",
            flow.view
        )));
    };
    let kernel = kernel(inputs)?;
    reading.spend(&inputs.node, kernel.array.len())?;
    let &[n, units] = kernel.array.dims() else {
        return Err(inputs.unexpected(1, "a matrix"));
    };
    if product(features) != Some(n) || units == 0 {
        return Err(inputs.node.error(format!(
            "expected weights of {} rows, found {}",
            product(features).unwrap_or(0),
            dims(kernel.array.dims())
        )));
    }
    let kernel = in_our_order(&kernel, features).ok_or_else(|| inputs.unexpected(1, "a matrix"))?;
    let bias = bias(inputs, units)?;
    let view = AxisView::vector(flow.view.batch(), units);
    let connection = LinkKind::Connection(ConnectionLink { kernel, bias });
    reading.layer(inputs, flow, connection, (vec![units], view))
}

/// The matrix `[in, out]` in the graph's order of inputs.
fn kernel(inputs: &Inputs<'_>) -> Result<Floats, FormatError> {
    let kernel = inputs.numbers(1)?;
    if inputs.node.operator() == "MatMul" {
        return Ok(kernel.clone());
    }
    if inputs.node.flag("transA") {
        return Err(inputs
            .node
            .error("transposes the images' rows (transA); expected 0"));
    }
    let matrix = match inputs.node.flag("transB") {
        true => kernel.array.transposed(&[1, 0]),
        false => Some(kernel.array.clone()),
    };
    let matrix = matrix.ok_or_else(|| inputs.unexpected(1, "a matrix"))?;
    let alpha = inputs.node.float("alpha").unwrap_or(1.0);
    let scaled = if alpha == 1.0 {
        matrix
    } else {
        matrix.map(|v| v * alpha)
    };
    Ok(kernel.derived(scaled))
}

/// The bias of this many units.
fn bias(inputs: &Inputs<'_>, units: usize) -> Result<Option<Floats>, FormatError> {
    let Some(bias) = inputs.optional_numbers(2)? else {
        return Ok(None);
    };
    if inputs.node.operator() == "MatMul" || ![1, units].contains(&bias.array.len()) {
        return Err(inputs.unexpected(2, &format!("{units} numbers")));
    }
    let beta = f64::from(inputs.node.float("beta").unwrap_or(1.0));
    Ok(Some(Factors::from(bias).map(|v| v * beta).numbers(units)))
}

/// The matrix, its rows in the order height, width, channel.
fn in_our_order(kernel: &Floats, features: &[Extent]) -> Option<Floats> {
    let Some((mut sizes, mut order)) = places(features) else {
        return Some(kernel.clone());
    };
    let &[rows, units] = kernel.array.dims() else {
        return None;
    };
    order.push(sizes.len());
    sizes.push(units);
    let array = kernel.array.reshaped(sizes)?.transposed(&order)?;
    Some(kernel.derived(array.reshaped(vec![rows, units])?))
}
