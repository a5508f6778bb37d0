//! Activations in Keras's notation: as names, and as layers of their own.

use serde_json::Value;

use super::arguments::Arguments;
use super::objects::KerasObject;
use crate::error::FormatError;
use crate::model::Activation;
use crate::words::short;

/// The classes of layers that are activations.
pub(super) const LAYERS: [&str; 5] = ["Activation", "ReLU", "LeakyReLU", "ELU", "Softmax"];

/// The activation that a layer of one of the [`LAYERS`] applies to inputs of `rank` axes, including
/// that of the batch.
pub(super) fn of_layer(a: &mut Arguments<'_>, rank: usize) -> Result<Activation, FormatError> {
    match a.class {
        "Activation" => argument(a, "activation", rank),
        "ReLU" => relu(a),
        "LeakyReLU" => {
            let alpha = a.number("alpha", Some(0.3))?;
            let slope = a.number("negative_slope", Some(alpha))?;
            leaky(a, slope)
        }
        "ELU" => {
            let alpha = a.number("alpha", Some(1.0))?;
            accept(a, Activation::Elu, alpha == 1.0, "alpha", "1")
        }
        "Softmax" => {
            let axis = a.value("axis").map_or(Some(-1), Value::as_i64);
            let last = axis == Some(-1) || axis == i64::try_from(rank).ok().map(|n| n - 1);
            accept(a, Activation::Softmax, last, "axis", "the last")
        }
        _ => Err(a.error("it is no activation")),
    }
}

/// The activation that is an argument of a layer.
pub(super) fn argument(
    a: &mut Arguments<'_>,
    key: &'static str,
    rank: usize,
) -> Result<Activation, FormatError> {
    let Some(value) = a.value(key) else {
        return Ok(Activation::Linear);
    };
    let object = KerasObject::new(value);
    let Some(object) = object else {
        return Err(a.wrong(key, "an activation"));
    };
    if let Some(config) = object.config().filter(|_| LAYERS.contains(&object.class)) {
        let name = format!("{}.{key}", a.name);
        return of_layer(&mut Arguments::new(object.class, &name, config), rank);
    }
    named(object.class).ok_or_else(|| {
        a.error(format!(
            "there is no activation `{}` here; replace it in Keras",
            object.class
        ))
    })
}

/// An activation by Keras's name.
fn named(name: &str) -> Option<Activation> {
    let all = Activation::POINTWISE.into_iter();
    let mut all = all.chain([Activation::Linear, Activation::Softmax]);
    match name {
        "swish" => Some(Activation::Silu),
        _ => all.find(|activation| activation.name() == name),
    }
}

fn relu(a: &mut Arguments<'_>) -> Result<Activation, FormatError> {
    let max = a.value("max_value");
    accept(a, Activation::Relu, max.is_none(), "max_value", "none")?;
    let threshold = a.number("threshold", Some(0.0))?;
    accept(a, Activation::Relu, threshold == 0.0, "threshold", "0")?;
    match a.number("negative_slope", Some(0.0))? {
        0.0 => Ok(Activation::Relu),
        slope => leaky(a, slope),
    }
}

fn leaky(a: &Arguments<'_>, slope: f64) -> Result<Activation, FormatError> {
    // Older files hold the slope as an f32.
    if slope as f32 == 0.2 {
        return Ok(Activation::LeakyRelu);
    }
    Err(a.error(format!(
        "its negative_slope is {}: only 0.2 is supported",
        short(slope)
    )))
}

fn accept(
    a: &Arguments<'_>,
    activation: Activation,
    holds: bool,
    key: &str,
    expected: &str,
) -> Result<Activation, FormatError> {
    if holds {
        Ok(activation)
    } else {
        Err(a.wrong(key, expected))
    }
}
