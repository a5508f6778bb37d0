//! Pools, and zeros around images.

use super::attributes::{int, window};
use super::edge::Edge;
use super::layer_writer::LayerWriter;
use crate::error::Result;
use crate::model::{GlobalPooling2D, Pooling2D, ZeroPadding2D};
use crate::shape::Window;

/// Padding counts as minus infinity.
pub(super) fn max_pool(w: &mut LayerWriter<'_>, layer: &Pooling2D, x: &Edge) -> Result<Edge> {
    let over = placed(w, layer, x)?;
    let y = w.result(vec![over.oh, over.ow, x.channels()]);
    let inputs = vec![x.name.clone()];
    Ok(w.graph.node("MaxPool", inputs, window(&over), y))
}

/// Padding does not count.
pub(super) fn average_pool(w: &mut LayerWriter<'_>, layer: &Pooling2D, x: &Edge) -> Result<Edge> {
    let over = placed(w, layer, x)?;
    let y = w.result(vec![over.oh, over.ow, x.channels()]);
    Ok(mean(w, x, &over, false, y))
}

/// The mean, in which padding counts as zeros, times the number of cells.
pub(super) fn sum_pool(w: &mut LayerWriter<'_>, layer: &Pooling2D, x: &Edge) -> Result<Edge> {
    let over = placed(w, layer, x)?;
    let y = Edge {
        name: w.inner("average"),
        ..w.result(vec![over.oh, over.ow, x.channels()])
    };
    let y = mean(w, x, &over, true, y);
    let cells = w.number("cells", over.taps() as f32);
    let name = w.name.into();
    Ok(w.graph.map("Mul", (&y, vec![cells]), Vec::new(), name))
}

fn placed(w: &LayerWriter<'_>, layer: &Pooling2D, x: &Edge) -> Result<Window> {
    let strides = layer.strides.unwrap_or(layer.pool_size);
    w.window(x, (layer.pool_size, 1.into()), strides, layer.padding)
}

fn mean(w: &mut LayerWriter<'_>, x: &Edge, over: &Window, padding_counts: bool, y: Edge) -> Edge {
    let mut attributes = window(over);
    attributes.push(int("count_include_pad", padding_counts.into()));
    (w.graph).node("AveragePool", vec![x.name.clone()], attributes, y)
}

/// A pool over the whole image by this operator, whose result is a 1x1 image.
pub(super) fn global_pool(
    w: &mut LayerWriter<'_>,
    operator: &str,
    layer: &GlobalPooling2D,
    x: &Edge,
) -> Edge {
    let image = w.result(vec![1, 1, x.channels()]);
    let inputs = vec![x.name.clone()];
    if layer.keepdims {
        return w.graph.node(operator, inputs, Vec::new(), image);
    }
    let name = w.inner("pool");
    let pool = (w.graph).node(operator, inputs, Vec::new(), Edge { name, ..image });
    let y = w.result(vec![x.channels()]);
    let axis = int("axis", 1);
    w.graph.node("Flatten", vec![pool.name], vec![axis], y)
}

/// Pads with zeros, the operator's default.
pub(super) fn zero_padding(w: &mut LayerWriter<'_>, layer: &ZeroPadding2D, x: &Edge) -> Edge {
    let [[top, bottom], [left, right]] = layer.padding.0;
    // The cells before each axis, then those after it.
    let pads = w.integers("pads", &[0, 0, top, left, 0, 0, bottom, right]);
    let mut shape = x.shape.clone();
    for (size, cells) in shape.iter_mut().zip([top + bottom, left + right]) {
        *size += cells;
    }
    let y = w.result(shape);
    (w.graph).node("Pad", vec![x.name.clone(), pads], Vec::new(), y)
}
