//! Pools.

use super::super::extent::ImageAxis;
use super::super::inputs::Inputs;
use super::super::link::{Link, LinkKind, WindowPool};
use super::super::nd_array::NdArray;
use super::super::placement::{Placement, Sides};
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::{AxisView, ImagePlaces};
use super::windows::{WindowAxes, outputs};
use crate::error::FormatError;
use crate::model::{Activation, PoolKind};

/// MaxPool and AveragePool.
pub(super) fn windows(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let (image, places) = images(reading, inputs, flow)?;
    let sizes = flow.view.rank().saturating_sub(2);
    let sizes = (inputs.node.sizes("kernel_shape", sizes)?)
        .ok_or_else(|| inputs.node.error("expected the attribute `kernel_shape`"))?;
    let axes = WindowAxes::new(inputs, sizes)?;
    let mut over = placement(inputs, &axes, places, image)?;
    if over.dilation != [1, 1] {
        return Err(inputs
            .node
            .error("a pool with dilations is not supported; expected 1"));
    }
    let maximum = inputs.node.operator() == "MaxPool";
    let counts_padding = !maximum && inputs.node.flag("count_include_pad");
    if inputs.node.flag("ceil_mode") {
        let reached = ceiling(&over, size(image));
        if counts_padding && reached != over.pads {
            return Err(inputs.node.error(
                "windows that leave the image (ceil_mode) with count_include_pad are not supported",
            ));
        }
        over.pads = reached;
    }
    let kind = if maximum {
        PoolKind::Max
    } else {
        PoolKind::Average
    };
    let pool = WindowPool {
        kind,
        counts_padding,
        over,
    };
    finish(reading, inputs, pool, places)
}

/// The images that a value is, and where their axes are.
fn images(
    reading: &GraphReading,
    inputs: &Inputs<'_>,
    flow: &Flow,
) -> Result<([usize; 3], ImagePlaces), FormatError> {
    let image = reading.chain.image();
    let found = image.and_then(|image| Some((image, flow.view.places(image)?)));
    found.ok_or_else(|| {
        let message = format!("expected images, found [{}] in another order", flow.view);
        inputs.node.error(message)
    })
}

fn size([height, width, _]: [usize; 3]) -> [usize; 2] {
    [height, width]
}

/// The windows along height and width; along all other axes they must have one cell.
fn placement(
    inputs: &Inputs<'_>,
    axes: &WindowAxes,
    places: ImagePlaces,
    image: [usize; 3],
) -> Result<Placement, FormatError> {
    let moved = [places.height, places.width].map(|i| i.checked_sub(2));
    let other = (0..axes.sizes.len()).filter(|&i| !moved.contains(&Some(i)));
    if other.into_iter().any(|i| !axes.is_trivial(i)) {
        return Err(inputs
            .node
            .error("pools over other axes than height and width"));
    }
    axes.placement(inputs, size(image), moved)
}

/// The padding that lets windows start wherever their first cell is inside the image.
fn ceiling(over: &Placement, image: [usize; 2]) -> Sides {
    let mut sides = over.pads;
    let along = over.strides.iter().zip(over.size).zip(image);
    for ([before, behind], ((&stride, size), cells)) in sides.iter_mut().zip(along) {
        let padded = cells.saturating_add(*before).saturating_add(*behind);
        let partial = padded.saturating_sub(size).checked_rem(stride).unwrap_or(0);
        let extra = if partial > 0 {
            stride.saturating_sub(partial)
        } else {
            0
        };
        let start = padded.saturating_sub(size).saturating_add(extra);
        // A window that would start in the padding behind the image is left out.
        if start < cells.saturating_add(*before) {
            *behind = behind.saturating_add(extra);
        }
    }
    sides
}

/// Appends the pool, if its padding is one that layers have.
fn finish(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    mut pool: WindowPool,
    places: ImagePlaces,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let ([.., channels], _) = images(reading, inputs, flow)?;
    reading.chain.settle(&inputs.node, flow)?;
    if let Some((sides, inner)) = copied_edges(reading, &pool) {
        pool.over.pads = sides;
        if !pool.over.is_same(size(inner)) {
            return Err(inputs
                .node
                .error("copies of the edges (Pad) that are not those of `same`"));
        }
        reading.chain.undo();
    }
    let Some(image) = reading.chain.image() else {
        return Err(inputs.node.error("expected images"));
    };
    check_padding(reading, inputs, &pool, image)?;
    let [height, width] = outputs(inputs, &pool.over, size(image))?;
    let output = [height, width, channels];
    let view = AxisView::image(places, flow.view.batch(), output);
    (reading.chain).push(&inputs.node, LinkKind::Pool(pool), output.to_vec());
    Ok(GraphValue::Flow(reading.chain.flow(view)))
}

/// The copies of the outermost cells before a max pool, which change no maximum, and the shape of
/// the images without them.
fn copied_edges(reading: &GraphReading, pool: &WindowPool) -> Option<(Sides, [usize; 3])> {
    let last = reading.chain.links.last()?;
    let LinkKind::Edges(sides) = last.kind else {
        return None;
    };
    let inner = last.input.as_slice().try_into().ok()?;
    (pool.kind == PoolKind::Max && pool.over.is_valid()).then_some((sides, inner))
}

fn check_padding(
    reading: &GraphReading,
    inputs: &Inputs<'_>,
    pool: &WindowPool,
    image: [usize; 3],
) -> Result<(), FormatError> {
    if pool.over.is_valid() || pool.over.is_same(size(image)) || pool.counts_padding {
        return Ok(());
    }
    match pool.kind {
        PoolKind::Max if !is_positive(&reading.chain.links) => Err(inputs.node.error(
            "padding other than that of `same`, of values that can be negative; expected an activation \
             like ReLU before it",
        )),
        PoolKind::Average => Err(inputs.node.error(
            "padding other than that of `same`, which the mean excludes; expected count_include_pad = 1",
        )),
        _ => Ok(()),
    }
}

/// Whether no value behind these layers is negative, so that zeros around images change no
/// maximum.
fn is_positive(links: &[Link]) -> bool {
    let keeps = |link: &&Link| {
        matches!(
            link.kind,
            LinkKind::Pool(_) | LinkKind::GlobalPool { .. } | LinkKind::Zeros(_)
        )
    };
    let before = links.iter().rev().find(|link| !keeps(link));
    matches!(
        before.map(|link| &link.kind),
        Some(LinkKind::Activation(
            Activation::Relu | Activation::Sigmoid | Activation::Softplus | Activation::Softmax
        ))
    )
}

/// The sum of the cells of windows, which exporters from JAX write as a convolution of one channel
/// with a kernel of ones, in which batch and channels are axes of the image.
pub(super) fn sum_by_ones(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    flow: &Flow,
) -> Result<Option<GraphValue>, FormatError> {
    let places = reading
        .chain
        .image()
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
    let image = reading.chain.image().unwrap_or_default();
    let over = placement(inputs, &WindowAxes::new(inputs, sizes)?, places, image)?;
    let pool = WindowPool {
        kind: PoolKind::Sum,
        counts_padding: false,
        over,
    };
    finish(reading, inputs, pool, places).map(Some)
}

/// The mean, if a sum is divided by the number of cells of each window that are inside the image.
pub(super) fn mean_by_counts(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<Option<GraphValue>, FormatError> {
    let (Some(GraphValue::Flow(flow)), Some(GraphValue::Floats(counts))) =
        (inputs.get(0), inputs.get(1))
    else {
        return Ok(None);
    };
    let places = (reading.chain.image()).and_then(|image| flow.view.places(image));
    let (0, Some(places)) = (flow.term, places) else {
        return Ok(None);
    };
    reading.chain.check(&inputs.node, flow)?;
    let Some(last) = reading.chain.links.last_mut() else {
        return Ok(None);
    };
    let (Some(image), LinkKind::Pool(pool)) = (last.image(), &mut last.kind) else {
        return Ok(None);
    };
    let same = are_counts(&counts.array, &pool.over, image, places).unwrap_or(false);
    if pool.kind != PoolKind::Sum || !same || !pool.over.is_same(image) {
        return Ok(None);
    }
    pool.kind = PoolKind::Average;
    Ok(Some(GraphValue::Flow(flow.clone())))
}

/// Whether an array has the number of cells of each window that are inside the image.
fn are_counts(
    counts: &NdArray<f32>,
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
    Some(
        expected
            .map(|n| n as f32)
            .eq(counts.elements().iter().copied()),
    )
}

/// Pools over whole images.
pub(super) fn global(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let rank = flow.view.rank();
    let reduces = inputs.node.operator().starts_with("Reduce");
    let axes = match reduces {
        true => (inputs.axes(1, rank)?).unwrap_or_else(|| (0..rank).collect()),
        false => (2..rank).collect(),
    };
    if !is_whole_image(reading, flow, &axes) {
        return Err(inputs.node.error(format!(
            "reduces axes {axes:?} of [{}]; expected height and width",
            flow.view
        )));
    }
    let kind = match inputs.node.operator() {
        "GlobalMaxPool" | "ReduceMax" => PoolKind::Max,
        _ => PoolKind::Average,
    };
    let keepdims = !reduces || inputs.node.int("keepdims") != Some(0);
    let view = flow.view.reduced(&axes, keepdims);
    let pooled = vec![1, 1, reading.chain.shape().last().copied().unwrap_or(1)];
    let pool = LinkKind::GlobalPool {
        kind,
        keepdims: true,
    };
    reading.layer(inputs, flow, pool, (pooled, view))
}

/// Whether these axes are height and width, and all of them.
fn is_whole_image(reading: &GraphReading, flow: &Flow, axes: &[usize]) -> bool {
    let Some([height, width, _]) = reading.chain.image() else {
        return false;
    };
    let mut found: Vec<ImageAxis> = (axes.iter())
        .flat_map(|&i| flow.view.axis(i))
        .map(|extent| extent.axis)
        .collect();
    found.sort_unstable();
    let expected = [(ImageAxis::Height, height), (ImageAxis::Width, width)];
    let expected = expected.into_iter().filter(|&(_, size)| size != 1);
    found.into_iter().eq(expected.map(|(axis, _)| axis))
}
