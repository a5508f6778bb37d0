//! A sequence of layers as a graph.

use super::attributes::ints;
use super::edge::{AxisOrder, Edge};
use super::graph::GraphWriter;
use super::layer_writer::LayerWriter;
use super::layers;
use crate::error::Result;
use crate::interchange::onnx::messages::GraphProto;
use crate::model::{Layer, ResolvedLayer, Sequential};
use crate::state::State;

/// The graph of a model with these weights.
///
/// # Errors
/// An invalid model, or weights that do not fit it.
pub(super) fn graph(model: &Sequential, state: &State, channels_first: bool) -> Result<GraphProto> {
    model.expect_chain("have no ONNX model here; keep the weights as safetensors")?;
    let resolved = model.resolve()?;
    let names = resolved.iter().map(|layer| layer.name.clone());
    let mut graph = GraphWriter::new(&model.name, names);
    let mut x = input(&mut graph, model, channels_first);
    for (i, layer) in resolved.iter().enumerate() {
        if must_keep_order(&resolved[i..]) && x.flattened() != AxisOrder::ChannelsLast {
            x = transpose(&mut graph, &x, AxisOrder::ChannelsLast);
        }
        let mut writer = LayerWriter {
            graph: &mut graph,
            name: &layer.name,
            state,
        };
        x = layers::write(&mut writer, layer.layer, x)?;
    }
    if x.order == AxisOrder::ChannelsFirst && x.shape.len() == 3 && !channels_first {
        x = transpose(&mut graph, &x, AxisOrder::ChannelsLast);
    }
    // Layers that add no nodes still make an output.
    let last = resolved.last().filter(|_| graph.is_empty());
    if let Some(last) = last {
        graph.map("Identity", (&x, Vec::new()), Vec::new(), last.name.clone());
    }
    Ok(graph.finish())
}

/// The image that the first layer reads.
fn input(graph: &mut GraphWriter, model: &Sequential, channels_first: bool) -> Edge {
    if channels_first {
        return graph.input(model.input_shape, AxisOrder::ChannelsFirst);
    }
    let x = graph.input(model.input_shape, AxisOrder::ChannelsLast);
    match needs_channels_first(model) {
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

/// Whether a layer reads images with channels first, rather than elements in any order, before
/// they are flattened.
fn needs_channels_first(model: &Sequential) -> bool {
    let mut layers = model.layers.iter().map(|placed| &placed.layer);
    let first = layers.find(|layer| !takes_any_order(layer));
    !matches!(first, None | Some(Layer::Flatten(_)))
}

/// Whether a layer's nodes are the same for any order of axes.
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
        | Layer::GaussianNoise(_)
        | Layer::Add(_) => true,
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
        | Layer::Concatenate(_) => false,
    }
}

/// Whether these layers start by flattening an image and have no dense layer whose rows could
/// follow another order of its elements.
fn must_keep_order(layers: &[ResolvedLayer<'_>]) -> bool {
    let flattens = layers
        .first()
        .is_some_and(|l| matches!(l.layer, Layer::Flatten(_)));
    flattens && !layers.iter().any(|l| matches!(l.layer, Layer::Dense(_)))
}
