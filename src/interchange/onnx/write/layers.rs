//! The nodes of each layer.

use super::activations;
use super::attributes;
use super::convolutions::{conv2d, depthwise_conv2d};
use super::edge::Edge;
use super::layer_writer::LayerWriter;
use super::norm::batch_normalization;
use super::pools::{average_pool, global_pool, max_pool, sum_pool, zero_padding};
use crate::error::{Error, Result};
use crate::model::{Dense, Layer, Rescaling};

/// Adds the nodes of a layer with these inputs, and returns its output.
///
/// # Errors
/// The weights do not fit the layer.
pub(super) fn write(w: &mut LayerWriter<'_>, layer: &Layer, inputs: &[Edge]) -> Result<Edge> {
    let x = inputs.first();
    let x = x.ok_or_else(|| Error::layer(w.name, "it has no input"))?;
    match layer {
        Layer::Conv2D(l) => conv2d(w, l, x),
        Layer::DepthwiseConv2D(l) => depthwise_conv2d(w, l, x),
        Layer::Dense(l) => dense(w, l, x),
        Layer::BatchNormalization(l) => batch_normalization(w, l, x),
        Layer::MaxPooling2D(l) => max_pool(w, &l.0, x),
        Layer::AveragePooling2D(l) => average_pool(w, &l.0, x),
        Layer::SumPooling2D(l) => sum_pool(w, &l.0, x),
        Layer::GlobalAveragePooling2D(l) => Ok(global_pool(w, "GlobalAveragePool", &l.0, x)),
        Layer::GlobalMaxPooling2D(l) => Ok(global_pool(w, "GlobalMaxPool", &l.0, x)),
        Layer::ZeroPadding2D(l) => Ok(zero_padding(w, l, x)),
        Layer::Flatten(_) => Ok(flatten(w, x)),
        Layer::Activation(l) => {
            let name = w.name.into();
            Ok(activations::write(w.graph, x.clone(), l.activation, name))
        }
        Layer::Rescaling(l) => Ok(rescaling(w, l, x)),
        Layer::Add(_) => Ok(sum(w, x, inputs)),
        Layer::Concatenate(_) => Ok(concatenation(w, x, inputs)),
        // Inference resizes images to its size.
        Layer::RandomCrop(l) if x.shape.starts_with(&[l.height, l.width]) => Ok(x.clone()),
        Layer::RandomCrop(_) => Err(Error::layer(
            w.name,
            "it resizes images in inference, which has no ONNX model here; leave it out, with an input of its size",
        )),
        // They pass their input on unless the network trains.
        Layer::Dropout(_)
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
        | Layer::GaussianNoise(_) => Ok(x.clone()),
    }
}

/// The sum of all inputs, which have the axes of `x`.
fn sum(w: &mut LayerWriter<'_>, x: &Edge, inputs: &[Edge]) -> Edge {
    // `Add` has two inputs.
    let operator = if inputs.len() == 2 { "Add" } else { "Sum" };
    let others = inputs.iter().skip(1).map(|other| other.name.clone());
    (w.graph).map(operator, (x, others.collect()), Vec::new(), w.name.into())
}

/// All inputs, which have the axes of `x`, side by side along that of the channels or features.
fn concatenation(w: &mut LayerWriter<'_>, x: &Edge, inputs: &[Edge]) -> Edge {
    let axis = attributes::int("axis", x.channel_axis());
    let mut y = Edge {
        name: w.name.into(),
        ..x.clone()
    };
    if let Some(channels) = y.shape.last_mut() {
        *channels = inputs.iter().map(Edge::channels).sum();
    }
    let inputs = inputs.iter().map(|input| input.name.clone());
    w.graph.node("Concat", inputs.collect(), vec![axis], y)
}

/// `y = x B + C`. The rows of `B` follow the order of `x`.
fn dense(w: &mut LayerWriter<'_>, layer: &Dense, x: &Edge) -> Result<Edge> {
    let (inputs, units) = (x.shape.iter().product(), layer.units);
    let kernel = w.parameter("kernel", &[inputs, units])?;
    let kernel = match x.image() {
        Some([height, width, channels]) => {
            let shape = [height, width, channels, units];
            w.constant("kernel", &[inputs, units], kernel, (&shape, &[2, 0, 1, 3]))
        }
        None => w.constant("kernel", &[inputs, units], kernel, (&[kernel.len()], &[0])),
    };
    let operands = [x.name.clone(), kernel]
        .into_iter()
        .chain(w.bias(layer.use_bias, units)?);
    let y = w.result(vec![units]);
    let y = w.graph.node("Gemm", operands.collect(), Vec::new(), y);
    Ok(activations::fused(w.graph, y, layer.activation))
}

/// A vector in the order of the graph's images, which the layers behind it allow for.
fn flatten(w: &mut LayerWriter<'_>, x: &Edge) -> Edge {
    let y = Edge {
        order: x.flattened(),
        ..w.result(vec![x.shape.iter().product()])
    };
    let axis = attributes::int("axis", 1);
    w.graph.node("Flatten", vec![x.name.clone()], vec![axis], y)
}

fn rescaling(w: &mut LayerWriter<'_>, layer: &Rescaling, x: &Edge) -> Edge {
    let scale = w.number("scale", layer.scale);
    if layer.offset == 0.0 {
        return w
            .graph
            .map("Mul", (x, vec![scale]), Vec::new(), w.name.into());
    }
    let product = w.inner("product");
    let product = w.graph.map("Mul", (x, vec![scale]), Vec::new(), product);
    let offset = w.number("offset", layer.offset);
    (w.graph).map("Add", (&product, vec![offset]), Vec::new(), w.name.into())
}
