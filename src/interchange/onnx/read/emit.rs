//! Layers and their weights.

use super::link::{
    ConnectionLink, ConvolutionLink, Link, LinkKind, NeutralCells, NormalizationLink, WindowPool,
};
use super::placement::{Placement, Sides};
use super::simplify::uses;
use super::value::Floats;
use crate::error::FormatError;
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer,
    MaxPooling2D, PoolKind, Pooling2D, Rescaling, SumPooling2D, ZeroPadding2D,
};
use crate::shape::Pair;

/// A layer and its weights by their names.
pub(super) struct WeightedLayer {
    pub layer: Layer,
    pub weights: Vec<(&'static str, Floats)>,
    /// A name for it, if the graph has a usable one.
    pub name: Option<String>,
    /// The layers whose outputs it takes; `None` is the input.
    pub from: Vec<Option<usize>>,
}

impl WeightedLayer {
    fn new(layer: impl Into<Layer>) -> Self {
        Self {
            layer: layer.into(),
            weights: Vec::new(),
            name: None,
            from: Vec::new(),
        }
    }
}

/// The layers of a network. An activation becomes part of the layer before it, if that can have
/// one.
///
/// # Errors
/// Cells for a maximum that no max pool reads.
pub(super) fn layers(links: &[Link]) -> Result<Vec<WeightedLayer>, FormatError> {
    let uses = uses(links);
    let mut layers: Vec<WeightedLayer> = Vec::with_capacity(links.len());
    // The layers that make the outputs of links.
    let mut makers: Vec<usize> = Vec::with_capacity(links.len());
    for link in links {
        // Only what no other layer takes can be changed.
        let alone = match (&link.kind, &link.from[..]) {
            (LinkKind::Activation(activation), &[Some(before)]) if uses[before] == 1 => {
                Some((*activation, makers[before]))
            }
            _ => None,
        };
        if let Some((activation, before)) = alone
            && fuse(&mut layers[before].layer, activation)
        {
            makers.push(before);
            continue;
        }
        let from = link.from.iter().map(|from| from.map(|link| makers[link]));
        let mut from: Vec<Option<usize>> = from.collect();
        for mut layer in unfused(link)? {
            layer.from = std::mem::replace(&mut from, vec![Some(layers.len())]);
            layers.push(layer);
        }
        makers.push(layers.len() - 1);
    }
    Ok(layers)
}

/// Gives a layer an activation, if it can have one and has none.
fn fuse(layer: &mut Layer, activation: Activation) -> bool {
    let own = match layer {
        Layer::Conv2D(l) => &mut l.activation,
        Layer::DepthwiseConv2D(l) => &mut l.activation,
        Layer::Dense(l) => &mut l.activation,
        _ => return false,
    };
    let free = *own == Activation::Linear;
    if free {
        *own = activation;
    }
    free
}

/// A layer, after another one with the zeros that it needs around its images.
fn unfused(link: &Link) -> Result<Vec<WeightedLayer>, FormatError> {
    let (zeros, mut layer) = match &link.kind {
        LinkKind::Convolution(conv) => convolution(conv, link),
        LinkKind::Connection(dense) => (None, connection(dense, link)?),
        LinkKind::Normalization(norm) => (None, normalization(norm)),
        LinkKind::Pool(pool) => window_pool(pool, link),
        LinkKind::Affine { scale, shift } => {
            let one = |factors: &Option<super::factors::Factors>, default: f32| {
                factors.as_ref().map_or(default, |f| f.of(0) as f32)
            };
            let layer = Rescaling::new(one(scale, 1.0)).offset(one(shift, 0.0));
            (None, WeightedLayer::new(layer))
        }
        LinkKind::GlobalPool { kind, keepdims } => (None, global_pool(*kind, *keepdims)),
        LinkKind::Zeros(sides) => (None, WeightedLayer::new(ZeroPadding2D::new(*sides))),
        LinkKind::Flatten => (None, WeightedLayer::new(Flatten::new())),
        LinkKind::Sum => (None, WeightedLayer::new(Add::new())),
        LinkKind::Concatenation => (None, WeightedLayer::new(Concatenate::new())),
        LinkKind::Activation(activation) => {
            (None, WeightedLayer::new(ActivationLayer::new(*activation)))
        }
        LinkKind::Neutral(_, cells) => {
            let what = match cells {
                NeutralCells::Copies => "copies of the edges",
                NeutralCells::Lowest => "the lowest number",
            };
            let label = &link.label;
            let message = format!("{label}: pads with {what}; expected a max pool behind it");
            return Err(message.into());
        }
    };
    layer.name.clone_from(&link.name);
    let zeros = zeros.map(|sides| WeightedLayer::new(ZeroPadding2D::new(sides)));
    Ok(zeros.into_iter().chain([layer]).collect())
}

fn padding(over: &Placement, link: &Link) -> (crate::shape::Padding, Option<Sides>) {
    over.padding(link.image().unwrap_or_default())
}

fn convolution(conv: &ConvolutionLink, link: &Link) -> (Option<Sides>, WeightedLayer) {
    let (padding, zeros) = padding(&conv.over, link);
    let filters = conv.kernel.array.dims().first().copied().unwrap_or(1);
    let channels = link.channels();
    let [size, strides, dilation] = [conv.over.size, conv.over.strides, conv.over.dilation];
    let mut layer = match conv.groups {
        groups if groups > 1 && groups == channels => WeightedLayer::new(
            DepthwiseConv2D::new(Pair(size))
                .depth_multiplier(filters / channels)
                .strides(strides)
                .dilation_rate(dilation)
                .padding(padding)
                .use_bias(conv.bias.is_some()),
        ),
        groups => WeightedLayer::new(
            Conv2D::new(filters, size)
                .groups(groups)
                .strides(strides)
                .dilation_rate(dilation)
                .padding(padding)
                .use_bias(conv.bias.is_some()),
        ),
    };
    // From `[out, in / groups, kh, kw]`. Depthwise kernels have the same order of elements.
    let kernel = conv.kernel.array.transposed(&[2, 3, 1, 0]);
    layer.weights = kernel
        .map(|kernel| ("kernel", conv.kernel.derived(kernel)))
        .into_iter()
        .chain(conv.bias.clone().map(|bias| ("bias", bias)))
        .collect();
    (zeros, layer)
}

fn connection(dense: &ConnectionLink, link: &Link) -> Result<WeightedLayer, FormatError> {
    let &[_, units] = dense.kernel.array.dims() else {
        return Err(format!("{}: expected a matrix of weights", link.label).into());
    };
    let mut layer = WeightedLayer::new(Dense::new(units).use_bias(dense.bias.is_some()));
    layer.weights = std::iter::once(("kernel", dense.kernel.clone()))
        .chain(dense.bias.clone().map(|bias| ("bias", bias)))
        .collect();
    Ok(layer)
}

fn normalization(norm: &NormalizationLink) -> WeightedLayer {
    let epsilon = shortest(norm.epsilon);
    let mut layer = WeightedLayer::new(BatchNormalization::new().epsilon(epsilon));
    layer.weights = vec![
        ("gamma", norm.gamma.clone()),
        ("beta", norm.beta.clone()),
        ("moving_mean", norm.mean.clone()),
        ("moving_variance", norm.variance.clone()),
    ];
    layer
}

/// The number that was meant: `0.001`, not the f32 next to it.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn window_pool(pool: &WindowPool, link: &Link) -> (Option<Sides>, WeightedLayer) {
    let image = link.image().unwrap_or_default();
    // Keras's average excludes the padding.
    let zeros_count = pool.kind == PoolKind::Average && pool.counts_padding;
    let (padding, zeros) = match zeros_count && !pool.over.is_valid() {
        true => (crate::shape::Padding::Valid, Some(pool.over.pads)),
        false => pool.over.padding(image),
    };
    let mut shared = Pooling2D::new(Pair(pool.over.size));
    shared.padding = padding;
    shared.strides = Some(Pair(pool.over.strides)).filter(|s| s.0 != pool.over.size);
    let layer = match pool.kind {
        PoolKind::Max => WeightedLayer::new(MaxPooling2D(shared)),
        PoolKind::Average => WeightedLayer::new(AveragePooling2D(shared)),
        PoolKind::Sum => WeightedLayer::new(SumPooling2D(shared)),
    };
    (zeros, layer)
}

fn global_pool(kind: PoolKind, keepdims: bool) -> WeightedLayer {
    match kind {
        PoolKind::Max => WeightedLayer::new(GlobalMaxPooling2D::new().keepdims(keepdims)),
        PoolKind::Average | PoolKind::Sum => {
            WeightedLayer::new(GlobalAveragePooling2D::new().keepdims(keepdims))
        }
    }
}
