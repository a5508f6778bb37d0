//! From this crate's layers to those of Keras.

use serde_json::{Map, Value, json};

use super::super::initializer::{write as initializer, write_kernel};
use super::super::objects::{float32, object};
use super::super::regularizer::write as regularizer;
use super::augmentation;
use crate::model::{
    BatchNormalization, Conv2D, Dense, DepthwiseConv2D, GlobalPooling2D, Initializer, Layer,
    Pooling2D, ResolvedLayer,
};
use crate::shape::{Padding, Pair};

/// The class of a layer in Keras. The sum pool, which Keras lacks, is written as other layers.
pub(in super::super) fn class(layer: &Layer) -> &'static str {
    layer.spec().kind()
}

/// A layer in Keras's configuration.
pub(in super::super) fn write(layer: &ResolvedLayer<'_>) -> Value {
    let mut config = arguments(layer.layer);
    config.insert("name".into(), layer.name.as_str().into());
    config.insert("dtype".into(), float32());
    if !matches!(layer.layer, Layer::SpatialDropout2D(_)) {
        // Keras's `SpatialDropout2D` has no such argument.
        config.insert("trainable".into(), layer.trainable.into());
    }
    let mut written = object(".layers", class(layer.layer), config.into());
    written["build_config"] = json!({ "input_shape": batch(&layer.input) });
    written
}

/// The shape of a batch of samples of this one.
pub(in super::super) fn batch(sample: &[usize]) -> Value {
    let sizes = sample.iter().map(|&size| size.into());
    std::iter::once(Value::Null).chain(sizes).collect()
}

/// The arguments that not every layer has.
fn arguments(layer: &Layer) -> Map<String, Value> {
    let config = match layer {
        Layer::Conv2D(l) => conv2d(l),
        Layer::DepthwiseConv2D(l) => depthwise_conv2d(l),
        Layer::Dense(l) => dense(l),
        Layer::BatchNormalization(l) => batch_normalization(l),
        Layer::MaxPooling2D(l) => pool(&l.0),
        Layer::AveragePooling2D(l) => pool(&l.0),
        Layer::SumPooling2D(l) => pool(&l.0),
        Layer::GlobalAveragePooling2D(l) => global_pool(&l.0),
        Layer::GlobalMaxPooling2D(l) => global_pool(&l.0),
        Layer::Flatten(_) => json!({"data_format": "channels_last"}),
        Layer::Activation(l) => json!({"activation": l.activation.name()}),
        Layer::ZeroPadding2D(l) => {
            json!({"padding": l.padding.0, "data_format": "channels_last"})
        }
        Layer::Rescaling(l) => json!({"scale": l.scale, "offset": l.offset}),
        Layer::Dropout(l) => json!({"rate": l.rate, "seed": null, "noise_shape": null}),
        Layer::Add(_) => json!({}),
        Layer::Concatenate(_) => json!({"axis": -1}),
        Layer::SpatialDropout2D(l) => {
            json!({"rate": l.rate, "seed": null, "data_format": "channels_last"})
        }
        Layer::RandomFlip(_)
        | Layer::RandomRotation(_)
        | Layer::RandomTranslation(_)
        | Layer::RandomZoom(_)
        | Layer::RandomShear(_)
        | Layer::RandomContrast(_)
        | Layer::RandomBrightness(_)
        | Layer::RandomErasing(_)
        | Layer::RandomElasticTransform(_)
        | Layer::RandomCrop(_)
        | Layer::GaussianNoise(_) => augmentation::write(layer),
    };
    match config {
        Value::Object(config) => config,
        _ => Map::new(),
    }
}

fn conv2d(l: &Conv2D) -> Value {
    json!({
        "filters": l.filters,
        "kernel_size": pair(l.kernel_size),
        "strides": pair(l.strides),
        "padding": padding(l.padding),
        "data_format": "channels_last",
        "dilation_rate": pair(l.dilation_rate),
        "groups": l.groups,
        "activation": l.activation.name(),
        "use_bias": l.use_bias,
        "kernel_initializer": write_kernel(l.kernel_initializer),
        "bias_initializer": initializer(l.bias_initializer),
        "kernel_regularizer": regularizer(l.kernel_regularizer),
        "bias_regularizer": regularizer(l.bias_regularizer),
        "activity_regularizer": null,
        "kernel_constraint": null,
        "bias_constraint": null,
    })
}

fn depthwise_conv2d(l: &DepthwiseConv2D) -> Value {
    json!({
        "depth_multiplier": l.depth_multiplier,
        "kernel_size": pair(l.kernel_size),
        "strides": pair(l.strides),
        "padding": padding(l.padding),
        "data_format": "channels_last",
        "dilation_rate": pair(l.dilation_rate),
        "activation": l.activation.name(),
        "use_bias": l.use_bias,
        "depthwise_initializer": initializer(l.depthwise_initializer),
        "bias_initializer": initializer(l.bias_initializer),
        "depthwise_regularizer": regularizer(l.depthwise_regularizer),
        "bias_regularizer": regularizer(l.bias_regularizer),
        "activity_regularizer": null,
        "depthwise_constraint": null,
        "bias_constraint": null,
    })
}

fn dense(l: &Dense) -> Value {
    json!({
        "units": l.units,
        "activation": l.activation.name(),
        "use_bias": l.use_bias,
        "kernel_initializer": initializer(l.kernel_initializer),
        "bias_initializer": initializer(l.bias_initializer),
        "kernel_regularizer": regularizer(l.kernel_regularizer),
        "bias_regularizer": regularizer(l.bias_regularizer),
        "kernel_constraint": null,
        "bias_constraint": null,
    })
}

fn batch_normalization(l: &BatchNormalization) -> Value {
    json!({
        "axis": -1,
        "momentum": l.momentum,
        "epsilon": l.epsilon,
        "center": l.center,
        "scale": l.scale,
        "beta_initializer": initializer(l.beta_initializer),
        "gamma_initializer": initializer(l.gamma_initializer),
        "moving_mean_initializer": initializer(Initializer::Zeros),
        "moving_variance_initializer": initializer(Initializer::Ones),
        "beta_regularizer": regularizer(l.beta_regularizer),
        "gamma_regularizer": regularizer(l.gamma_regularizer),
        "beta_constraint": null,
        "gamma_constraint": null,
        "synchronized": false,
    })
}

fn pool(l: &Pooling2D) -> Value {
    json!({
        "pool_size": pair(l.pool_size),
        "padding": padding(l.padding),
        "strides": pair(l.strides.unwrap_or(l.pool_size)),
        "data_format": "channels_last",
    })
}

fn global_pool(l: &GlobalPooling2D) -> Value {
    json!({"data_format": "channels_last", "keepdims": l.keepdims})
}

fn pair(pair: Pair) -> [usize; 2] {
    pair.0
}

fn padding(padding: Padding) -> &'static str {
    match padding {
        Padding::Valid => "valid",
        Padding::Same => "same",
    }
}
