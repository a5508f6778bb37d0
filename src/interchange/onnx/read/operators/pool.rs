//! Pools.

use super::super::extent::ImageAxis;
use super::super::inputs::Inputs;
use super::super::link::{LinkKind, NeutralCells, WindowPool};
use super::super::placement::{Placement, Sides};
use super::super::reading::GraphReading;
use super::super::value::{Flow, GraphValue};
use super::super::view::{AxisView, ImagePlaces};
use super::windows::{WindowAxes, outputs};
use crate::error::FormatError;
use crate::model::PoolKind;

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
        is_reduction: false,
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
    let image = reading.links.image(flow);
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
pub(super) fn placement(
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
pub(super) fn finish(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    mut pool: WindowPool,
    places: ImagePlaces,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let ([.., channels], _) = images(reading, inputs, flow)?;
    let settled = reading.links.settle(&inputs.node, flow)?;
    let from = padded_neutrally(reading, inputs, &mut pool, settled)?;
    let Some(image) = reading
        .links
        .image(&reading.links.flow(from, flow.view.clone()))
    else {
        return Err(inputs.node.error("expected images"));
    };
    let [height, width] = outputs(inputs, &pool.over, size(image))?;
    pool.over.trim(size(image), [height, width]);
    check_padding(reading, inputs, &pool, (from, image))?;
    let output = [height, width, channels];
    let view = AxisView::image(places, flow.view.batch(), output);
    let pooled =
        (reading.links).push(&inputs.node, LinkKind::Pool(pool), &[from], output.to_vec())?;
    Ok(GraphValue::Flow(reading.links.flow(pooled, view)))
}

/// Makes cells that change no maximum, which the layer before a max pool adds, its padding. Returns the output that the
/// pool takes then.
fn padded_neutrally(
    reading: &GraphReading,
    inputs: &Inputs<'_>,
    pool: &mut WindowPool,
    output: usize,
) -> Result<usize, FormatError> {
    let last = reading
        .links
        .maker(output)
        .zip(reading.links.before(output));
    let Some((last, before)) = last else {
        return Ok(output);
    };
    let (&LinkKind::Neutral(sides, cells), PoolKind::Max) = (&last.kind, pool.kind) else {
        return Ok(output);
    };
    let inner = last.image().unwrap_or_default();
    let both = |axis: usize, side: usize| {
        let own = pool.over.pads[axis][side];
        own.saturating_add(sides[axis][side])
    };
    let is_valid = pool.over.is_valid();
    pool.over.pads = [0, 1].map(|axis| [0, 1].map(|side| both(axis, side)));
    if cells == NeutralCells::Copies && !(is_valid && pool.over.is_same(inner)) {
        return Err(inputs
            .node
            .error("copies of the edges (Pad) that are not those of `same`"));
    }
    Ok(before)
}

fn check_padding(
    reading: &GraphReading,
    inputs: &Inputs<'_>,
    pool: &WindowPool,
    (from, image): (usize, [usize; 3]),
) -> Result<(), FormatError> {
    if pool.over.is_valid() || pool.over.is_same(size(image)) || pool.counts_padding {
        return Ok(());
    }
    match pool.kind {
        PoolKind::Max if !pool.over.is_touching(size(image)) => {
            Err(inputs.node.error("windows that lie outside the image"))
        }
        PoolKind::Max if !reading.links.is_positive(from) => Err(inputs.node.error(
            "padding other than that of `same`, of values that can be negative; expected an activation \
             like ReLU before it",
        )),
        PoolKind::Average => Err(inputs.node.error(
            "padding other than that of `same`, which the mean excludes; expected count_include_pad = 1",
        )),
        _ => Ok(()),
    }
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
    if reduces && let Some(pool) = along_one_axis(reading, flow, &axes) {
        let keepdims = inputs.node.int("keepdims") != Some(0);
        return one_axis(reading, inputs, pool, flow.view.reduced(&axes, keepdims));
    }
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
    let pooled = vec![1, 1, reading.links.shape(flow).last().copied().unwrap_or(1)];
    let pool = LinkKind::GlobalPool {
        kind,
        keepdims: true,
    };
    reading.layer(inputs, flow, pool, (pooled, view))
}

/// The windows of a mean or maximum along height or width alone: `x.mean(-1).mean(-1)` pools over
/// whole images in two steps.
fn along_one_axis(reading: &GraphReading, flow: &Flow, axes: &[usize]) -> Option<[usize; 2]> {
    let [height, width, _] = reading.links.image(flow)?;
    let &[axis] = axes else { return None };
    match flow.view.axis(axis) {
        [extent] if extent.axis == ImageAxis::Height && width > 1 => Some([height, 1]),
        [extent] if extent.axis == ImageAxis::Width && height > 1 => Some([1, width]),
        _ => None,
    }
}

/// Appends a pool with these windows, which reach from edge to edge.
fn one_axis(
    reading: &mut GraphReading,
    inputs: &Inputs<'_>,
    size: [usize; 2],
    view: AxisView,
) -> Result<GraphValue, FormatError> {
    let flow = inputs.flow(0)?;
    let [height, width, channels] = reading.links.image(flow).unwrap_or_default();
    let kind = match inputs.node.operator() {
        "ReduceMax" => PoolKind::Max,
        _ => PoolKind::Average,
    };
    let pool = LinkKind::Pool(WindowPool {
        kind,
        counts_padding: false,
        is_reduction: true,
        over: Placement::tiles(size),
    });
    let [ph, pw] = size;
    let pooled = vec![height / ph, width / pw, channels];
    reading.layer(inputs, flow, pool, (pooled, view))
}

/// Whether these axes are height and width, and all of them.
fn is_whole_image(reading: &GraphReading, flow: &Flow, axes: &[usize]) -> bool {
    let Some([height, width, _]) = reading.links.image(flow) else {
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
