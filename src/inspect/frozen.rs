//! A network as it is in inference, made of layers that are the same in training.
//!
//! Gradients come from the backward pass of training, which drops cells at random and normalizes by
//! the batch's own mean and variance. A network whose gradients are to be those of inference must
//! not contain such layers: dropout, which changes nothing in inference, is left out, and batch
//! normalization, which then multiplies and adds constants, becomes a convolution or a dense layer.

use std::sync::Arc;

use crate::error::Result;
use crate::model::{
    BatchNormalization, Dense, DepthwiseConv2D, Layer, Loss, ResolvedLayer, Sequential,
};
use crate::state::{Layout, State};

/// The layers of a network in inference, with their weights.
pub(super) struct Frozen {
    input_shape: [usize; 3],
    loss: Loss,
    pub layers: Vec<FrozenLayer>,
}

/// A layer with its weights.
pub(super) struct FrozenLayer {
    /// The name in the original network.
    pub name: String,
    /// Shape of one output sample.
    pub output: Vec<usize>,
    /// The indices of the layers whose outputs it takes; `None` is the network's input.
    pub from: Vec<Option<usize>>,
    layer: Layer,
    /// The values of its parameters, in order.
    parameters: Vec<Vec<f32>>,
}

impl Frozen {
    /// # Errors
    /// Those of [`Sequential::resolve`]; weights of another model.
    pub fn new(model: &Sequential, state: &State) -> Result<Self> {
        if *Layout::new(model)? != *state.layout {
            return Err(model.error("the weights are those of another model".into()));
        }
        let mut layers: Vec<FrozenLayer> = Vec::new();
        // Which of them has the output of each layer of the model.
        let mut outputs: Vec<Option<usize>> = Vec::new();
        for resolved in model.resolve()? {
            let source = |from: &Option<usize>| from.and_then(|index: usize| outputs[index]);
            let from: Vec<Option<usize>> = resolved.from.iter().map(source).collect();
            outputs.push(match frozen(&resolved, state, from.clone())? {
                Some(layer) => {
                    layers.push(layer);
                    Some(layers.len() - 1)
                }
                None => from.first().copied().flatten(),
            });
        }
        Ok(Self {
            input_shape: model.input_shape,
            loss: model.loss,
            layers,
        })
    }

    /// Whether everything behind the layer with this index depends on its output alone.
    pub fn is_passage(&self, index: usize) -> bool {
        let behind = self.layers.iter().skip(index + 1);
        let mut sources = behind.flat_map(|layer| &layer.from);
        sources.all(|source| source.is_some_and(|source| source >= index))
    }

    /// The network and its weights from layer `first` on. The output of the layer before must be
    /// an image, and a [passage](Self::is_passage).
    ///
    /// # Errors
    /// Those of [`Sequential::resolve`].
    pub fn from(&self, first: usize) -> Result<(Sequential, State)> {
        let before = first.checked_sub(1).and_then(|i| self.layers.get(i));
        let shape = before.and_then(|layer| layer.output.as_slice().try_into().ok());
        let model = Sequential::new(shape.unwrap_or(self.input_shape)).loss(self.loss);
        let layers = self.layers.get(first..).unwrap_or_default();
        let source = |from: &Option<usize>| from.and_then(|index| index.checked_sub(first));
        let placed = |layer: &FrozenLayer| {
            let from = layer.from.iter().map(source).collect();
            (layer.layer.clone(), from)
        };
        let model = model.with_layers(layers.iter().map(placed).collect())?;
        let layout = Layout::new(&model)?;
        layout.check_memory()?;
        let mut state = State::new(Arc::clone(&layout), 0);
        let values = layers.iter().flat_map(|layer| &layer.parameters);
        // Parameters are in the order of the layers.
        for (parameter, values) in layout.parameters.iter().zip(values) {
            state.set_parameter(&parameter.name, values)?;
        }
        Ok((model, state))
    }
}

/// The layer in inference; `None` if it changes nothing.
fn frozen(
    resolved: &ResolvedLayer<'_>,
    state: &State,
    from: Vec<Option<usize>>,
) -> Result<Option<FrozenLayer>> {
    let parameter = |name: &str| {
        let name = format!("{}/{name}", resolved.name);
        state.parameter(&name).map(<[f32]>::to_vec)
    };
    let (layer, parameters) = match resolved.layer {
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
        | Layer::GaussianNoise(_) => return Ok(None),
        Layer::BatchNormalization(norm) => {
            let terms = [("gamma", norm.scale), ("beta", norm.center)];
            let [gamma, beta] = terms.map(|(name, there)| there.then(|| parameter(name)));
            let statistics = [parameter("moving_mean")?, parameter("moving_variance")?];
            let affine = affine(norm, [gamma.transpose()?, beta.transpose()?], statistics);
            constant(resolved, affine)
        }
        Layer::Conv2D(_)
        | Layer::DepthwiseConv2D(_)
        | Layer::MaxPooling2D(_)
        | Layer::AveragePooling2D(_)
        | Layer::SumPooling2D(_)
        | Layer::GlobalAveragePooling2D(_)
        | Layer::GlobalMaxPooling2D(_)
        | Layer::Flatten(_)
        | Layer::Dense(_)
        | Layer::Activation(_)
        | Layer::ZeroPadding2D(_)
        | Layer::Rescaling(_)
        | Layer::RandomCrop(_)
        | Layer::Add(_)
        | Layer::Concatenate(_) => {
            let other = resolved.layer;
            let specs = other.spec().parameters(&resolved.input);
            let values = specs.iter().map(|spec| parameter(spec.name));
            (other.clone(), values.collect::<Result<_>>()?)
        }
    };
    Ok(Some(FrozenLayer {
        name: resolved.name.clone(),
        output: resolved.output.clone(),
        from,
        layer,
        parameters,
    }))
}

/// The factor and the offset of each channel.
fn affine(
    norm: &BatchNormalization,
    [gamma, beta]: [Option<Vec<f32>>; 2],
    [mean, variance]: [Vec<f32>; 2],
) -> [Vec<f32>; 2] {
    let term = |values: &Option<Vec<f32>>, i: usize, missing: f64| {
        let value = values.as_ref().and_then(|values| values.get(i));
        value.map_or(missing, |&value| f64::from(value))
    };
    let pairs = mean.iter().zip(&variance).enumerate();
    let affine = pairs.map(|(i, (&mean, &variance))| {
        let factor = term(&gamma, i, 1.0) / (f64::from(variance) + norm.epsilon).sqrt();
        let offset = term(&beta, i, 0.0) - f64::from(mean) * factor;
        (factor as f32, offset as f32)
    });
    let (factors, offsets) = affine.unzip();
    [factors, offsets]
}

/// The layer that multiplies and adds constants: a convolution for images, otherwise a dense layer
/// with a diagonal kernel.
fn constant(
    resolved: &ResolvedLayer<'_>,
    [factors, offsets]: [Vec<f32>; 2],
) -> (Layer, Vec<Vec<f32>>) {
    let name = resolved.name.as_str();
    if resolved.input.len() == 3 {
        let layer = DepthwiseConv2D::new(1).name(name);
        return (layer.into(), vec![factors, offsets]);
    }
    let n = factors.len();
    let mut kernel = vec![0.0; n.saturating_mul(n)];
    for (i, factor) in factors.into_iter().enumerate() {
        kernel[i * n + i] = factor;
    }
    (Dense::new(n).name(name).into(), vec![kernel, offsets])
}
