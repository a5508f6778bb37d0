//! Sums and means of windows that exporters express in other operators.

use super::super::inputs::Inputs;
use super::super::link::{LinkKind, WindowPool};
use super::super::link_graph::LinkGraph;
use super::super::nd_array::NdArray;
use super::super::placement::Placement;
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::ImagePlaces;
use super::pool::{finish, placement};
use super::windows::WindowAxes;
use crate::error::FormatError;
use crate::model::PoolKind;

/// The sum of the cells of windows, which exporters from JAX write as a convolution of one channel
/// with a kernel of ones, in which batch and channels are axes of the image.
pub(super) fn sum_by_ones(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    flow: &Flow,
) -> Result<Option<GraphValue>, FormatError> {
    let places = reading
        .links
        .image(flow)
        .and_then(|image| flow.view.places(image));
    let Some(places) = places.filter(|places| places.batch == 2) else {
        return Ok(None);
    };
    let kernel = inputs.numbers(1)?;
    let sizes = match kernel.array.dims() {
        [1, 1, sizes @ ..] if sizes.len() + 2 == places.rank => sizes.to_vec(),
        _ => return Err(inputs.unexpected(1, "a kernel for one channel")),
    };
    if kernel.array.elements().iter().any(|&v| v != 1.0) || inputs.get(2).is_some() {
        return Err(inputs
            .node
            .error("expected a kernel of ones, which sums the cells of windows"));
    }
    let image = reading.links.image(flow).unwrap_or_default();
    let over = placement(inputs, &WindowAxes::new(inputs, sizes)?, places, image)?;
    let pool = WindowPool {
        kind: PoolKind::Sum,
        counts_padding: false,
        is_reduction: false,
        over,
    };
    finish(reading, inputs, pool, places).map(Some)
}

/// The mean without the padding, if a sum is divided by the number of cells of each window that are
/// inside the image, or a mean by their share.
pub(super) fn mean_by_counts(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<Option<GraphValue>, FormatError> {
    let (Some(GraphValue::Flow(flow)), Some(GraphValue::Floats(counts))) =
        (inputs.get(0), inputs.get(1))
    else {
        return Ok(None);
    };
    let places = (reading.links.image(flow)).and_then(|image| flow.view.places(image));
    let (0, Some(places)) = (flow.term, places) else {
        return Ok(None);
    };
    let Some((pool, from)) = divided(&reading.links, flow.output, &counts.array, places) else {
        return Ok(None);
    };
    let shape = reading.links.shape(flow).to_vec();
    let pooled = (reading.links).push(&inputs.node, LinkKind::Pool(pool), &[from], shape)?;
    let mean = reading.links.flow(pooled, flow.view.clone());
    Ok(Some(GraphValue::Flow(mean)))
}

/// An average pool, and the output that it takes, if dividing what layers make by these numbers is one.
fn divided(
    links: &LinkGraph,
    output: usize,
    counts: &NdArray<f32>,
    places: ImagePlaces,
) -> Option<(WindowPool, usize)> {
    let mut last = links.maker(output)?;
    let mut from = links.before(output)?;
    let LinkKind::Pool(mut pool) = last.kind else {
        return None;
    };
    if let Some(link) = links.maker(from)
        && let LinkKind::Zeros(sides) = link.kind
        && pool.over.is_valid()
    {
        (pool.over.pads, pool.counts_padding) = (sides, true);
        (last, from) = (link, links.before(from)?);
    }
    let &[height, width, _] = last.input.as_slice() else {
        return None;
    };
    let whole = match pool.kind {
        PoolKind::Sum => 1.0,
        PoolKind::Average if pool.counts_padding => pool.over.taps(),
        PoolKind::Average | PoolKind::Max => return None,
    };
    let image = [height, width];
    if !pool.over.is_same(image) || !are_counts(counts, whole, &pool.over, image, places)? {
        return None;
    }
    (pool.kind, pool.counts_padding) = (PoolKind::Average, false);
    Some((pool, from))
}

/// Whether an array has the number of cells of each window that are inside the image, divided by
/// `whole`.
fn are_counts(
    counts: &NdArray<f32>,
    whole: f64,
    over: &Placement,
    image: [usize; 2],
    places: ImagePlaces,
) -> Option<bool> {
    let [rows, columns] = over.outputs(image)?;
    let mut dims = vec![1; places.rank];
    *dims.get_mut(places.height)? = rows;
    *dims.get_mut(places.width)? = columns;
    if counts.dims() != dims {
        return Some(false);
    }
    let along = |axis: usize, i: usize| {
        let [before, _] = over.pads[axis];
        let start = i * over.strides[axis];
        let end = (start + over.size[axis]).min(before + image[axis]);
        end.saturating_sub(start.max(before))
    };
    let expected = (0..rows).flat_map(|i| (0..columns).map(move |j| along(0, i) * along(1, j)));
    let close = |(n, &found): (usize, &f32)| {
        let n = n as f64 / whole;
        (f64::from(found) - n).abs() <= 1e-6 * n
    };
    Some(expected.zip(counts.elements()).all(close))
}
