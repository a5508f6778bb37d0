//! Whether two models compute the same, apart from what only training needs.

use crate::error::Result;
use crate::model::{
    Activation, ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D,
    Dense, DepthwiseConv2D, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Layer,
    MaxPooling2D, Pooling2D, RandomCrop, Rescaling, ResolvedLayer, Sequential, SumPooling2D,
    ZeroPadding2D,
};
use crate::shape::{Padding, Pair, Window};

/// The model as inference sees it: without names, dropout, augmentation, initializers, penalties and the loss, with
/// each activation as a layer of its own, with depthwise convolutions as grouped ones, and without
/// what has no effect: `same` where it pads nothing, no cells around an image, a flattening of a
/// vector or of what a global pool can flatten itself. Models with equal forms compute the same from
/// the same weights, in the same order.
///
/// # Errors
/// As [`Sequential::resolve`].
pub fn inference_form(model: &Sequential) -> Result<Sequential> {
    let resolved = model.resolve()?;
    let uses = uses(&resolved);
    let mut form: Vec<(Layer, Vec<Option<usize>>)> = Vec::with_capacity(resolved.len());
    // Where the form has the output of each layer, and how often others take it.
    let mut places: Vec<(Option<usize>, usize)> = Vec::with_capacity(resolved.len());
    for (layer, uses) in resolved.iter().zip(uses) {
        let sources = layer.from.iter();
        let sources = sources.map(|source| source.and_then(|index| places[index].0));
        let mut from: Vec<Option<usize>> = sources.collect();
        let is_alone = matches!(layer.from[..], [Some(index)] if places[index].1 == 1);
        let pool = from.first().copied().flatten().filter(|_| is_alone);
        let pool = pool.and_then(|index| form.get_mut(index));
        let is_merged = pool.is_some_and(|(pool, _)| is_flattened(pool, layer.layer));
        let parts = match is_merged {
            true => Vec::new(),
            false => split(layer.layer, &layer.input),
        };
        let uses = match (is_merged || !parts.is_empty(), &layer.from[..]) {
            (false, &[Some(index)]) => places[index].1,
            _ => uses,
        };
        for part in parts {
            let place = Some(form.len());
            form.push((part, std::mem::replace(&mut from, vec![place])));
        }
        places.push((from.first().copied().flatten(), uses));
    }
    Sequential::new(model.input_shape).with_layers(form)
}

/// How often the output of each layer is taken, by layers that change it.
fn uses(resolved: &[ResolvedLayer<'_>]) -> Vec<usize> {
    let mut uses = vec![0usize; resolved.len()];
    for (index, layer) in resolved.iter().enumerate().rev() {
        let times = match split(layer.layer, &layer.input).is_empty() {
            true => uses[index],
            false => 1,
        };
        for source in layer.from.iter().flatten() {
            uses[*source] += times;
        }
    }
    uses
}

/// Whether `layer` is a flattening that `pool`, a pool over whole images whose output only it takes, does from now on.
fn is_flattened(pool: &mut Layer, layer: &Layer) -> bool {
    let pool = match (pool, layer) {
        (Layer::GlobalAveragePooling2D(l), Layer::Flatten(_)) => &mut l.0,
        (Layer::GlobalMaxPooling2D(l), Layer::Flatten(_)) => &mut l.0,
        _ => return false,
    };
    pool.keepdims = false;
    true
}

/// `recorded`, the model that was written to a file, if it computes the same as `read`, the model
/// that the file's graph describes. Parameters correspond in order and in their elements, but may
/// have other names and, for depthwise convolutions, other shapes.
///
/// # Errors
/// As [`Sequential::resolve`].
pub fn with_training_details(
    read: &Sequential,
    recorded: Sequential,
) -> Result<Option<Sequential>> {
    let same = inference_form(read)? == inference_form(&recorded)?;
    Ok(same.then_some(recorded))
}

/// A layer's form, and its activation behind it.
fn split(layer: &Layer, input: &[usize]) -> Vec<Layer> {
    let (bare, activation): (Layer, Activation) = match layer {
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
        | Layer::GaussianNoise(_) => return Vec::new(),
        Layer::Flatten(_) if input.len() == 1 => return Vec::new(),
        Layer::ZeroPadding2D(l) if l.padding.0 == [[0; 2]; 2] => return Vec::new(),
        Layer::Activation(l) if l.activation == Activation::Linear => return Vec::new(),
        Layer::Activation(l) => return vec![ActivationLayer::new(l.activation).into()],
        Layer::Conv2D(l) => (conv2d(l, input).into(), l.activation),
        Layer::DepthwiseConv2D(l) => (conv2d(&grouped(l, input), input).into(), l.activation),
        Layer::Dense(l) => (
            Dense::new(l.units).use_bias(l.use_bias).into(),
            l.activation,
        ),
        Layer::Add(_) => (Add::new().into(), Activation::Linear),
        Layer::Concatenate(_) => (Concatenate::new().into(), Activation::Linear),
        Layer::BatchNormalization(l) => (norm(l).into(), Activation::Linear),
        Layer::MaxPooling2D(l) => (MaxPooling2D(pool(&l.0, input)).into(), Activation::Linear),
        Layer::AveragePooling2D(l) => (
            AveragePooling2D(pool(&l.0, input)).into(),
            Activation::Linear,
        ),
        Layer::SumPooling2D(l) => (SumPooling2D(pool(&l.0, input)).into(), Activation::Linear),
        Layer::Flatten(_) => (Flatten::new().into(), Activation::Linear),
        Layer::GlobalAveragePooling2D(l) => (
            GlobalAveragePooling2D::new().keepdims(l.0.keepdims).into(),
            Activation::Linear,
        ),
        Layer::GlobalMaxPooling2D(l) => (
            GlobalMaxPooling2D::new().keepdims(l.0.keepdims).into(),
            Activation::Linear,
        ),
        Layer::ZeroPadding2D(l) => (ZeroPadding2D::new(l.padding).into(), Activation::Linear),
        Layer::RandomCrop(l) if input.starts_with(&[l.height, l.width]) => return Vec::new(),
        Layer::RandomCrop(l) => (
            RandomCrop::new(l.height, l.width).into(),
            Activation::Linear,
        ),
        Layer::Rescaling(l) => (
            Rescaling::new(l.scale).offset(l.offset).into(),
            Activation::Linear,
        ),
    };
    let behind = (activation != Activation::Linear).then(|| ActivationLayer::new(activation));
    std::iter::once(bare)
        .chain(behind.map(Layer::from))
        .collect()
}

/// The depthwise convolution as one with as many groups as channels; its kernel has the same
/// elements in the same order.
fn grouped(layer: &DepthwiseConv2D, input: &[usize]) -> Conv2D {
    let channels = input.last().copied().unwrap_or(1);
    Conv2D::new(channels * layer.depth_multiplier, layer.kernel_size)
        .groups(channels)
        .strides(layer.strides)
        .padding(layer.padding)
        .dilation_rate(layer.dilation_rate)
        .use_bias(layer.use_bias)
}

fn conv2d(layer: &Conv2D, input: &[usize]) -> Conv2D {
    let kernel = (layer.kernel_size, layer.dilation_rate);
    Conv2D::new(layer.filters, layer.kernel_size)
        .groups(layer.groups)
        .strides(layer.strides)
        .padding(settled(layer.padding, input, kernel, layer.strides))
        .dilation_rate(layer.dilation_rate)
        .use_bias(layer.use_bias)
}

/// The normalization with epsilon as it is used, and as ONNX holds it: a float32.
fn norm(layer: &BatchNormalization) -> BatchNormalization {
    BatchNormalization::new()
        .epsilon(f64::from(layer.epsilon as f32))
        .scale(layer.scale)
        .center(layer.center)
}

/// The pool without its name and with its strides spelt out.
fn pool(layer: &Pooling2D, input: &[usize]) -> Pooling2D {
    let strides = layer.strides.unwrap_or(layer.pool_size);
    let mut form = Pooling2D::new(layer.pool_size);
    form.strides = Some(strides);
    form.padding = settled(layer.padding, input, (layer.pool_size, 1.into()), strides);
    form
}

/// `valid` in place of a `same` that pads nothing.
fn settled(padding: Padding, input: &[usize], kernel: (Pair, Pair), strides: Pair) -> Padding {
    let &[ih, iw, _] = input else {
        return padding;
    };
    let window = |padding| Window::dilated([ih, iw], kernel, strides, padding);
    match (window(Padding::Valid), window(Padding::Same)) {
        (Ok(valid), Ok(same)) if valid == same => Padding::Valid,
        _ => padding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Dropout;

    fn model() -> Sequential {
        Sequential::new([8, 8, 1])
            .add(Conv2D::new(4, 3).activation(Activation::Relu).name("first"))
            .add(MaxPooling2D::new(2))
            .add(Dropout::new(0.5))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax))
    }

    #[test]
    fn what_only_training_needs_makes_no_difference() {
        let read = Sequential::new([8, 8, 1])
            .add(Conv2D::new(4, 3))
            .add(ActivationLayer::new(Activation::Relu))
            .add(MaxPooling2D::new(2).strides(2))
            .add(Flatten::new())
            .add(Dense::new(3).activation(Activation::Softmax));
        assert_eq!(
            with_training_details(&read, model()).unwrap(),
            Some(model())
        );
    }

    #[test]
    fn another_network_is_told_apart() {
        let mut read = model();
        read.layers.remove(1);
        assert_eq!(with_training_details(&read, model()).unwrap(), None);
        let mut wider = model();
        wider.input_shape = [8, 9, 1];
        assert_eq!(with_training_details(&wider, model()).unwrap(), None);
    }

    #[test]
    fn layers_that_take_other_outputs_are_told_apart() {
        let joined = |from: [&str; 2]| {
            Sequential::new([8, 8, 2])
                .add(Conv2D::new(2, 1).activation(Activation::Relu).name("a"))
                .add(Dropout::new(0.5).name("b"))
                .add_from("b", Conv2D::new(2, 1).name("c"))
                .add_from(from, Add::new())
        };
        let read = Sequential::new([8, 8, 2])
            .add(Conv2D::new(2, 1))
            .add(ActivationLayer::new(Activation::Relu).name("r"))
            .add(Conv2D::new(2, 1).name("d"))
            .add_from(["d", "r"], Add::new());
        let recorded = joined(["c", "b"]);
        assert_eq!(
            with_training_details(&read, recorded.clone()).unwrap(),
            Some(recorded)
        );
        for other in [
            joined(["b", "c"]),
            joined(["c", "input"]),
            joined(["c", "c"]),
        ] {
            assert_eq!(with_training_details(&read, other).unwrap(), None);
        }
    }

    #[test]
    fn a_pool_flattens_only_what_no_other_layer_takes() {
        let pooled = |second: Layer| {
            Sequential::new([8, 8, 2])
                .add(GlobalAveragePooling2D::new().keepdims(true).name("pool"))
                .add(Dropout::new(0.5))
                .add(Flatten::new().name("flat"))
                .add_from("pool", second.named("second"))
                .add(Flatten::new().name("again"))
                .add_from(["flat", "again"], Add::new())
        };
        let form = inference_form(&pooled(ActivationLayer::new(Activation::Relu).into())).unwrap();
        let kinds: Vec<&str> = form.layers.iter().map(|l| l.spec().kind()).collect();
        let expected = [
            "GlobalAveragePooling2D",
            "Flatten",
            "Activation",
            "Flatten",
            "Add",
        ];
        assert_eq!(kinds, expected);
        let form = inference_form(&pooled(Dropout::new(0.1).into())).unwrap();
        assert_eq!(form.layers.len(), 4, "{form:?}");
    }

    #[test]
    fn a_depthwise_convolution_is_a_grouped_one_and_useless_padding_is_none() {
        let read = Sequential::new([8, 8, 2])
            .add(Conv2D::new(4, 3).groups(2))
            .add(Conv2D::new(3, 1));
        let recorded = Sequential::new([8, 8, 2])
            .add(DepthwiseConv2D::new(3).depth_multiplier(2))
            .add(Conv2D::new(3, 1).padding(Padding::Same));
        assert_eq!(
            with_training_details(&read, recorded.clone()).unwrap(),
            Some(recorded)
        );
    }

    #[test]
    fn what_has_no_effect_makes_no_difference() {
        let read = Sequential::new([8, 8, 2])
            .add(BatchNormalization::new().epsilon(f64::from(0.001_f32)))
            .add(GlobalAveragePooling2D::new())
            .add(Dense::new(3));
        let recorded = Sequential::new([8, 8, 2])
            .add(ZeroPadding2D::new(0))
            .add(BatchNormalization::new().epsilon(0.001))
            .add(GlobalAveragePooling2D::new().keepdims(true))
            .add(Dropout::new(0.5))
            .add(Flatten::new())
            .add(Flatten::new())
            .add(Dense::new(3));
        assert_eq!(
            with_training_details(&read, recorded.clone()).unwrap(),
            Some(recorded.clone())
        );
        let other = recorded.add(BatchNormalization::new().center(false));
        assert_eq!(with_training_details(&read, other).unwrap(), None);
    }
}
