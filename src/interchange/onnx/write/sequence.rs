//! The layers of a model as a graph.

use super::attributes::ints;
use super::edge::{AxisOrder, Edge};
use super::graph::GraphWriter;
use super::layer_writer::LayerWriter;
use super::layers;
use crate::error::Result;
use crate::interchange::element_order::are_orders_free;
use crate::interchange::onnx::messages::GraphProto;
use crate::model::{Layer, ResolvedLayer, Sequential};
use crate::state::State;

/// The graph of a model with these weights.
///
/// # Errors
/// An invalid model, or weights that do not fit it.
pub(super) fn graph(model: &Sequential, state: &State, channels_first: bool) -> Result<GraphProto> {
    let resolved = model.resolve()?;
    let is_free = are_orders_free(&resolved);
    let names = resolved.iter().map(|layer| layer.name.clone());
    let mut graph = GraphWriter::new(&model.name, names);
    let input = input(&mut graph, &resolved, (model.input_shape, channels_first));
    let input_name = input.name.clone();
    let mut outputs: Vec<Edge> = Vec::with_capacity(resolved.len());
    for (layer, is_free) in resolved.iter().zip(is_free) {
        let sources = layer.from.iter();
        let sources = sources.map(|source| source.map_or(&input, |index| &outputs[index]));
        let mut inputs: Vec<Edge> = sources.cloned().collect();
        let must_keep_order = matches!(layer.layer, Layer::Flatten(_)) && !is_free;
        for x in inputs.iter_mut().filter(|_| must_keep_order) {
            if x.flattened() != AxisOrder::ChannelsLast {
                *x = transpose(&mut graph, x, AxisOrder::ChannelsLast);
            }
        }
        let mut writer = LayerWriter {
            graph: &mut graph,
            name: &layer.name,
            state,
        };
        outputs.push(layers::write(&mut writer, layer.layer, &inputs)?);
    }
    let mut y = outputs.pop().unwrap_or(input);
    if y.order == AxisOrder::ChannelsFirst && y.shape.len() == 3 && !channels_first {
        y = transpose(&mut graph, &y, AxisOrder::ChannelsLast);
    }
    // Layers that add no nodes still make an output.
    let last = resolved.last().filter(|_| y.name == input_name);
    if let Some(last) = last {
        y = graph.map("Identity", (&y, Vec::new()), Vec::new(), last.name.clone());
    }
    Ok(graph.finish(&y))
}

/// The image that the first layers read.
fn input(
    graph: &mut GraphWriter,
    layers: &[ResolvedLayer<'_>],
    (shape, channels_first): ([usize; 3], bool),
) -> Edge {
    if channels_first {
        return graph.input(shape, AxisOrder::ChannelsFirst);
    }
    let x = graph.input(shape, AxisOrder::ChannelsLast);
    match layers.iter().any(needs_channels_first) {
        true => transpose(graph, &x, AxisOrder::ChannelsFirst),
        false => x,
    }
}

/// The image `x` with its axes in this order.
fn transpose(graph: &mut GraphWriter, x: &Edge, order: AxisOrder) -> Edge {
    let (what, axes) = match order {
        AxisOrder::ChannelsFirst => ("channels_first", [0, 3, 1, 2]),
        AxisOrder::ChannelsLast | AxisOrder::Flattened(_) => ("channels_last", [0, 2, 3, 1]),
    };
    let y = Edge {
        name: graph.fresh(format!("{}.{what}", x.name)),
        shape: x.shape.clone(),
        order,
    };
    graph.node(
        "Transpose",
        vec![x.name.clone()],
        vec![ints("perm", &axes)],
        y,
    )
}

/// Whether a layer reads images with channels first, rather than elements in any order.
fn needs_channels_first(layer: &ResolvedLayer<'_>) -> bool {
    let flattens = matches!(layer.layer, Layer::Flatten(_));
    layer.input.len() == 3 && !flattens && !takes_any_order(layer.layer)
}

/// Whether a layer's nodes are the same for any order of axes, which all images have in common.
fn takes_any_order(layer: &Layer) -> bool {
    match layer {
        Layer::Activation(_)
        | Layer::Rescaling(_)
        | Layer::Dropout(_)
        | Layer::SpatialDropout2D(_)
        | Layer::RandomFlip(_)
        | Layer::RandomRotation(_)
        | Layer::RandomTranslation(_)
        | Layer::RandomZoom(_)
        | Layer::RandomShear(_)
        | Layer::RandomContrast(_)
        | Layer::RandomBrightness(_)
        | Layer::RandomErasing(_)
        | Layer::RandomElasticTransform(_)
        | Layer::GaussianNoise(_)
        | Layer::Add(_)
        | Layer::Concatenate(_) => true,
        Layer::Conv2D(_)
        | Layer::DepthwiseConv2D(_)
        | Layer::Dense(_)
        | Layer::BatchNormalization(_)
        | Layer::MaxPooling2D(_)
        | Layer::AveragePooling2D(_)
        | Layer::SumPooling2D(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_)
        | Layer::ZeroPadding2D(_)
        | Layer::Flatten(_)
        | Layer::RandomCrop(_) => false,
    }
}
