//! A model's layers and their tensors as PyTorch has them.

use super::attributes::attributes;
use super::axes::AxesOrder;
use crate::error::Result;
use crate::interchange::element_order::are_orders_free;
use crate::model::{
    BatchNormalization, Conv2D, Dense, DepthwiseConv2D, Layer, ResolvedLayer, Sequential,
};
use crate::shape::Pair;

/// A layer in PyTorch.
pub(super) struct TorchLayer<'a> {
    /// The layer.
    pub resolved: ResolvedLayer<'a>,
    /// The module's attribute, with which the names of its tensors start.
    pub attribute: String,
    /// The image that the input was flattened from, `[h, w, c]`, if the elements are in the order
    /// `[c, h, w]`.
    pub flattened: Option<[usize; 3]>,
    /// Whether the layer flattens an image in the order `[h, w, c]`, because not all that follows are dense
    /// layers, whose weights could be permuted instead.
    pub permutes: bool,
}

/// A tensor that a layer has in PyTorch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slot {
    /// The end of its name: `weight`.
    pub leaf: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// What it holds.
    pub content: SlotContent,
}

/// What a tensor holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum SlotContent {
    /// The parameter of this name.
    Parameter(String, AxesOrder),
    /// What the layer computes with although it has no such parameter.
    Constant(f32),
    /// The number of steps that updated the moving averages, an integer.
    Steps,
}

/// The layers of a model.
///
/// # Errors
/// As [`Sequential::resolve`].
pub(super) fn layers(model: &Sequential) -> Result<Vec<TorchLayer<'_>>> {
    let resolved = model.resolve()?;
    let attributes = attributes(resolved.iter().map(|layer| layer.name.as_str()));
    let is_free = are_orders_free(&resolved);
    // The image that each layer's output is, if its elements are in another order.
    let mut images: Vec<Option<[usize; 3]>> = Vec::with_capacity(resolved.len());
    let mut layers = Vec::with_capacity(resolved.len());
    for ((resolved, attribute), is_free) in resolved.into_iter().zip(attributes).zip(is_free) {
        let image = reordered_image(&resolved);
        let permutes = image.is_some() && !is_free;
        let first = resolved.from.first().copied().flatten();
        let flattened = first.and_then(|index| images[index]);
        images.push(match (resolved.layer, image) {
            // What is merged is in this crate's order.
            (Layer::Dense(_) | Layer::Add(_) | Layer::Concatenate(_), _) => None,
            (_, Some(image)) => Some(image).filter(|_| !permutes),
            (_, None) => flattened,
        });
        layers.push(TorchLayer {
            resolved,
            attribute,
            flattened,
            permutes,
        });
    }
    Ok(layers)
}

/// The image that the layer flattens, if the two orders of its elements differ.
fn reordered_image(layer: &ResolvedLayer<'_>) -> Option<[usize; 3]> {
    match (layer.layer, layer.input.as_slice()) {
        (Layer::Flatten(_), &[h, w, c]) if c > 1 && h * w > 1 => Some([h, w, c]),
        _ => None,
    }
}

impl TorchLayer<'_> {
    /// The layer's tensors in the order of a state dict.
    pub fn slots(&self) -> Vec<Slot> {
        match self.resolved.layer {
            Layer::Conv2D(layer) => self.conv2d(layer),
            Layer::DepthwiseConv2D(layer) => self.depthwise(layer),
            Layer::Dense(layer) => self.dense(layer),
            Layer::BatchNormalization(layer) => self.norm(layer),
            Layer::MaxPooling2D(_)
            | Layer::AveragePooling2D(_)
            | Layer::SumPooling2D(_)
            | Layer::Flatten(_)
            | Layer::Activation(_)
            | Layer::GlobalAveragePooling2D(_)
            | Layer::GlobalMaxPooling2D(_)
            | Layer::ZeroPadding2D(_)
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
            | Layer::RandomCrop(_)
            | Layer::GaussianNoise(_)
            | Layer::Add(_)
            | Layer::Concatenate(_) => Vec::new(),
        }
    }

    fn conv2d(&self, layer: &Conv2D) -> Vec<Slot> {
        let Pair([kh, kw]) = layer.kernel_size;
        let channels = self.channels() / layer.groups.max(1);
        let order = AxesOrder::kernel([kh, kw, channels, layer.filters]);
        let kernel = self.parameter(
            "weight",
            vec![layer.filters, channels, kh, kw],
            "kernel",
            order,
        );
        self.with_bias(kernel, layer.filters, layer.use_bias)
    }

    fn depthwise(&self, layer: &DepthwiseConv2D) -> Vec<Slot> {
        let Pair([kh, kw]) = layer.kernel_size;
        let (channels, multiplier) = (self.channels(), layer.depth_multiplier);
        let order = AxesOrder::depthwise([kh, kw, channels, multiplier]);
        let filters = channels * multiplier;
        let kernel = self.parameter("weight", vec![filters, 1, kh, kw], "kernel", order);
        self.with_bias(kernel, filters, layer.use_bias)
    }

    fn dense(&self, layer: &Dense) -> Vec<Slot> {
        let inputs = self.channels();
        let [h, w, c] = self.flattened.unwrap_or([1, 1, inputs]);
        let order = AxesOrder::kernel([h, w, c, layer.units]);
        let kernel = self.parameter("weight", vec![layer.units, inputs], "kernel", order);
        self.with_bias(kernel, layer.units, layer.use_bias)
    }

    fn with_bias(&self, kernel: Slot, units: usize, use_bias: bool) -> Vec<Slot> {
        let bias = || self.parameter("bias", vec![units], "bias", AxesOrder::same(units));
        let bias = use_bias.then(bias);
        std::iter::once(kernel).chain(bias).collect()
    }

    /// PyTorch multiplies and adds, or does neither.
    fn norm(&self, layer: &BatchNormalization) -> Vec<Slot> {
        let features = self.channels();
        let order = match self.flattened {
            Some([h, w, c]) => AxesOrder::kernel([h, w, c, 1]),
            None => AxesOrder::same(features),
        };
        let shape = || vec![features];
        let learnt = |leaf, name, is_used: bool, neutral| match is_used {
            true => self.parameter(leaf, shape(), name, order),
            false => Slot {
                leaf,
                shape: shape(),
                content: SlotContent::Constant(neutral),
            },
        };
        let scale = learnt("weight", "gamma", layer.scale, 1.0);
        let center = learnt("bias", "beta", layer.center, 0.0);
        let learns = layer.scale || layer.center;
        let steps = Slot {
            leaf: "num_batches_tracked",
            shape: Vec::new(),
            content: SlotContent::Steps,
        };
        let affine = [scale, center].into_iter().filter(|_| learns);
        let statistics = [
            self.parameter("running_mean", shape(), "moving_mean", order),
            self.parameter("running_var", shape(), "moving_variance", order),
            steps,
        ];
        affine.chain(statistics).collect()
    }

    fn parameter(
        &self,
        leaf: &'static str,
        shape: Vec<usize>,
        name: &str,
        order: AxesOrder,
    ) -> Slot {
        let name = format!("{}/{name}", self.resolved.name);
        Slot {
            leaf,
            shape,
            content: SlotContent::Parameter(name, order),
        }
    }

    /// The number of channels, or of features, of the input.
    pub fn channels(&self) -> usize {
        self.resolved.input.last().copied().unwrap_or(1)
    }
}
