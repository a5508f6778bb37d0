//! Layers that only act in training, in Keras's configuration.

use serde_json::{Value, json};

use crate::model::{Layer, Sampling};

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
        Layer::GaussianNoise(l) => return json!({"stddev": l.stddev, "seed": null}),
        _ => return Value::Null,
    };
    config["data_format"] = "channels_last".into();
    config["seed"] = Value::Null;
    config
}

/// The arguments with how the image is read.
fn sampled(mut config: Value, sampling: Sampling) -> Value {
    config["fill_mode"] = sampling.fill_mode.name().into();
    config["interpolation"] = sampling.interpolation.name().into();
    config["fill_value"] = sampling.fill_value.into();
    config
}
