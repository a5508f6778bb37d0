//! Convolutions.

use super::activations;
use super::attributes::{int, ints, window};
use super::edge::Edge;
use super::layer_writer::LayerWriter;
use crate::error::Result;
use crate::model::{Conv2D, DepthwiseConv2D};
use crate::shape::{Pair, Window};

/// The kernel `[kh, kw, in, out]` becomes `[out, in, kh, kw]`.
pub(super) fn conv2d(w: &mut LayerWriter<'_>, layer: &Conv2D, x: &Edge) -> Result<Edge> {
    let kernel = (layer.kernel_size, layer.dilation_rate);
    let window = w.window(x, kernel, layer.strides, layer.padding)?;
    let Pair([kh, kw]) = layer.kernel_size;
    let channels = x.channels() / layer.groups.max(1);
    let filters = layer.filters;
    let shape = [kh, kw, channels, filters];
    let kernel = w.parameter("kernel", &shape)?;
    let kernel = w.constant(
        "kernel",
        &[filters, channels, kh, kw],
        kernel,
        (&shape, &[3, 2, 0, 1]),
    );
    let bias = w.bias(layer.use_bias, filters)?;
    let y = convolution(w, x, (kernel, bias), (&window, layer.groups, filters));
    Ok(activations::fused(w.graph, y, layer.activation))
}

/// A convolution with a group per channel. The kernel `[kh, kw, c, m]` becomes
/// `[c * m, 1, kh, kw]`.
pub(super) fn depthwise_conv2d(
    w: &mut LayerWriter<'_>,
    layer: &DepthwiseConv2D,
    x: &Edge,
) -> Result<Edge> {
    let kernel = (layer.kernel_size, layer.dilation_rate);
    let window = w.window(x, kernel, layer.strides, layer.padding)?;
    let Pair([kh, kw]) = layer.kernel_size;
    let channels = x.channels();
    let filters = channels * layer.depth_multiplier;
    let shape = [kh, kw, channels, layer.depth_multiplier];
    let kernel = w.parameter("kernel", &shape)?;
    let kernel = w.constant(
        "kernel",
        &[filters, 1, kh, kw],
        kernel,
        (&shape, &[2, 3, 0, 1]),
    );
    let bias = w.bias(layer.use_bias, filters)?;
    let y = convolution(w, x, (kernel, bias), (&window, channels, filters));
    Ok(activations::fused(w.graph, y, layer.activation))
}

fn convolution(
    w: &mut LayerWriter<'_>,
    x: &Edge,
    (kernel, bias): (String, Option<String>),
    (over, groups, filters): (&Window, usize, usize),
) -> Edge {
    let mut attributes = window(over);
    attributes.push(ints("dilations", &[over.dh, over.dw]));
    attributes.push(int("group", groups as i64));
    let inputs = [x.name.clone(), kernel].into_iter().chain(bias).collect();
    let y = w.result(vec![over.oh, over.ow, filters]);
    w.graph.node("Conv", inputs, attributes, y)
}
