//! Layers that only act in training, in Keras's configuration.

use serde_json::{Map, Value, json};

use super::super::names::free_name;
use super::super::objects::{float32, object};
use crate::model::{Layer, RandomCrop, ResolvedLayer, Sampling};

/// The arguments of such a layer; null for any other. Numbers are those that were given and not the
/// bounds that follow from them, as Keras refuses a shear of its own with negative bounds.
pub(super) fn write(layer: &Layer) -> Value {
    let mut config = match layer {
        Layer::RandomFlip(l) => json!({"mode": l.mode.name()}),
        Layer::RandomRotation(l) => sampled(json!({"factor": l.factor}), l.sampling()),
        Layer::RandomTranslation(l) => sampled(
            json!({"height_factor": l.height_factor, "width_factor": l.width_factor}),
            l.sampling(),
        ),
        Layer::RandomZoom(l) => sampled(
            json!({"height_factor": l.height_factor, "width_factor": l.width_factor}),
            l.sampling(),
        ),
        Layer::RandomShear(l) => sampled(
            json!({"x_factor": l.x_factor, "y_factor": l.y_factor}),
            l.sampling(),
        ),
        Layer::RandomContrast(l) => json!({"factor": l.factor, "value_range": l.value_range}),
        Layer::RandomBrightness(l) => json!({"factor": l.factor, "value_range": l.value_range}),
        Layer::RandomErasing(l) => json!({
            "factor": l.factor,
            "scale": l.scale,
            "fill_value": l.fill_value,
            "value_range": l.value_range,
        }),
        Layer::RandomElasticTransform(l) => sampled(
            json!({"factor": l.factor, "scale": l.scale, "value_range": l.value_range}),
            l.sampling(),
        ),
        Layer::RandomCrop(l) => json!({"height": l.height, "width": l.width}),
        Layer::GaussianNoise(l) => return json!({"stddev": l.stddev, "seed": null}),
        _ => return Value::Null,
    };
    config["data_format"] = "channels_last".into();
    config["seed"] = Value::Null;
    config
}

/// The crop that a layer is, if it is one.
pub(in super::super) fn crop<'a>(layer: &ResolvedLayer<'a>) -> Option<&'a RandomCrop> {
    match layer.layer {
        Layer::RandomCrop(crop) => Some(crop),
        _ => None,
    }
}

/// What Keras needs behind a [`crop`], under a name that is not taken: Keras 3.15 cuts in training only, whatever its
/// description says of inference, where a `Resizing` does what is meant.
pub(in super::super) fn behind(
    layer: &ResolvedLayer<'_>,
    is_taken: impl Fn(&str) -> bool,
) -> Option<Value> {
    let crop = crop(layer)?;
    let mut config = resizing();
    config["name"] = free_name(&format!("{}_resizing", layer.name), is_taken).into();
    config["trainable"] = true.into();
    config["dtype"] = float32();
    config["height"] = crop.height.into();
    config["width"] = crop.width.into();
    Some(object(".layers", "Resizing", config))
}

/// How a `Resizing` does what `RandomCrop` means in inference.
fn resizing() -> Value {
    json!({
        "interpolation": "bilinear",
        "crop_to_aspect_ratio": true,
        "pad_to_aspect_ratio": false,
        "fill_mode": "constant",
        "fill_value": 0.0,
        "antialias": false,
        "data_format": "channels_last",
    })
}

/// Whether a `Resizing` with these arguments resizes as one that [`behind`] writes, whatever its size.
pub(in super::super) fn resizes_as_behind(config: &Map<String, Value>) -> bool {
    let is_same = |(key, written): (&String, &Value)| match config.get(key) {
        // Keras's default, but for one.
        None | Some(Value::Null) => key != "crop_to_aspect_ratio",
        Some(found) => {
            found == written || written.is_number() && found.as_f64() == written.as_f64()
        }
    };
    let written = resizing();
    let mut written = written.as_object().into_iter().flatten();
    written.all(is_same)
}

/// The arguments with how the image is read.
fn sampled(mut config: Value, sampling: Sampling) -> Value {
    config["fill_mode"] = sampling.fill_mode.name().into();
    config["interpolation"] = sampling.interpolation.name().into();
    config["fill_value"] = sampling.fill_value.into();
    config
}
