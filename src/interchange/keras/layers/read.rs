//! From Keras's layers to those of this crate.

use serde_json::Value;

use super::super::activation;
use super::super::arguments::{Arguments, size};
use super::common::{global_pool, initializer, pool, regularizer};
use super::operation::ARITHMETIC;
use super::{random, reshape};
use crate::error::FormatError;
use crate::model::{
    ActivationLayer, Add, AveragePooling2D, BatchNormalization, Concatenate, Conv2D, Dense,
    DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Initializer,
    Layer, Margins, MaxPooling2D, Rescaling, SpatialDropout2D, ZeroPadding2D,
};

/// Layers that do nothing in inference and have no weights, and the crop.
const ONLY_IN_TRAINING: [&str; 30] = [
    "ActivityRegularization",
    "AlphaDropout",
    "AugMix",
    "CutMix",
    "GaussianDropout",
    "GaussianNoise",
    "MixUp",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHeight",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
];

/// The layer that `a` describes, for inputs of this shape, without the batch; `None` if inference
/// can do without it. `is_behind_trained` tells that a layer before it is trained.
///
/// # Errors
/// One line: an argument or a layer that is not supported.
pub(in super::super) fn read(
    a: &mut Arguments<'_>,
    shape: &[usize],
    is_behind_trained: bool,
) -> Result<Option<Layer>, FormatError> {
    a.float32()?;
    if ONLY_IN_TRAINING.contains(&a.class) {
        return training_layer(a, shape, is_behind_trained);
    }
    if a.class == "Identity" {
        return Ok(None);
    }
    if a.class == "Resizing" && is_of_size(a, shape)? {
        return Ok(None);
    }
    if a.class == "Reshape" {
        return reshape::read(a, shape);
    }
    // With that of the batch.
    let rank = shape.len() + 1;
    let layer = of_class(a, rank)?;
    a.finish()?;
    Ok(Some(layer))
}

/// A layer that only acts in training, unless its meaning cannot be kept, which is noted.
fn training_layer(
    a: &mut Arguments<'_>,
    shape: &[usize],
    is_behind_trained: bool,
) -> Result<Option<Layer>, FormatError> {
    let kept = random::read(a).and_then(|layer| {
        let layer = layer.ok_or("there is no such layer here")?;
        if layer.is_image_augmentation() && is_behind_trained {
            return Err("it comes behind a layer that is trained".into());
        }
        layer.spec().output_shape(shape)?;
        Ok(layer)
    });
    let why = match kept {
        Ok(layer) => return Ok(Some(layer)),
        Err(why) => why.to_string(),
    };
    let prefix = a.error("").to_string();
    let why = why.strip_prefix(&prefix).unwrap_or(&why);
    // Without it, the layers behind it would have inputs of another size.
    if a.class == "RandomCrop" {
        return Err(a.error(why));
    }
    let note = format!("{} only acts in training and was left out: {why}", a.class);
    a.note(note);
    Ok(None)
}

/// Whether inputs of this shape have the layer's size already, as those behind a `RandomCrop` have in
/// files of this crate. Its other arguments do not matter then, unless Keras leaves the crop out.
fn is_of_size(a: &mut Arguments<'_>, shape: &[usize]) -> Result<bool, FormatError> {
    Ok(shape.starts_with(&[a.size("height", None)?, a.size("width", None)?]))
}

/// Whether a layer treats each element alike, whatever the input's shape.
pub(in super::super) fn is_pointwise(class: &str) -> bool {
    let plain = [
        "Rescaling",
        "Dropout",
        "Identity",
        "ReLU",
        "LeakyReLU",
        "ELU",
    ];
    [&plain[..], &ARITHMETIC, &ONLY_IN_TRAINING]
        .iter()
        .any(|classes| classes.contains(&class))
}

/// Whether a layer can take several inputs: those of Keras, and operations of the same names.
pub(in super::super) fn merges(class: &str) -> bool {
    ["Add", "Concatenate"].contains(&class)
}

fn of_class(a: &mut Arguments<'_>, rank: usize) -> Result<Layer, FormatError> {
    let name = Some(a.name.to_owned());
    Ok(match a.class {
        "Conv2D" => conv2d(a, rank)?.into(),
        "DepthwiseConv2D" => depthwise_conv2d(a, rank)?.into(),
        "Dense" => dense(a, rank)?.into(),
        "BatchNormalization" => batch_normalization(a, rank)?.into(),
        "MaxPooling2D" => MaxPooling2D(pool(a)?).into(),
        "AveragePooling2D" => AveragePooling2D(pool(a)?).into(),
        "GlobalAveragePooling2D" => GlobalAveragePooling2D(global_pool(a)?).into(),
        "GlobalMaxPooling2D" => GlobalMaxPooling2D(global_pool(a)?).into(),
        "Flatten" => {
            a.channels_last()?;
            Flatten { name }.into()
        }
        "ZeroPadding2D" => ZeroPadding2D {
            name,
            padding: margins(a)?,
        }
        .into(),
        "Add" => Add { name }.into(),
        "Concatenate" => {
            let axis = a.number("axis", Some(-1.0))?;
            if ![-1.0, (rank - 1) as f64].contains(&axis) {
                return Err(a.error(format!(
                    "it concatenates along axis {axis}; expected the last one, of the channels or features"
                )));
            }
            Concatenate { name }.into()
        }
        "Rescaling" => Rescaling {
            name,
            scale: a.number("scale", None)? as f32,
            offset: a.number("offset", Some(0.0))? as f32,
        }
        .into(),
        "Dropout" => dropout(a)?.into(),
        "SpatialDropout2D" => {
            a.channels_last()?;
            let rate = a.number("rate", None)?;
            SpatialDropout2D { name, rate }.into()
        }
        class if activation::LAYERS.contains(&class) => ActivationLayer {
            name,
            activation: activation::of_layer(a, rank)?,
        }
        .into(),
        _ => return Err(unknown(a)),
    })
}

fn unknown(a: &Arguments<'_>) -> FormatError {
    a.error("there is no such layer here; replace it in Keras")
}

fn conv2d(a: &mut Arguments<'_>, rank: usize) -> Result<Conv2D, FormatError> {
    a.channels_last()?;
    Ok(Conv2D {
        name: Some(a.name.into()),
        filters: a.size("filters", None)?,
        kernel_size: a.pair("kernel_size", None)?,
        strides: a.pair("strides", Some(1))?,
        padding: a.padding()?,
        dilation_rate: a.pair("dilation_rate", Some(1))?,
        groups: a.size("groups", Some(1))?,
        activation: activation::argument(a, "activation", rank)?,
        use_bias: a.flag("use_bias", true)?,
        kernel_initializer: initializer(a, "kernel_initializer", Initializer::GlorotUniform),
        bias_initializer: initializer(a, "bias_initializer", Initializer::Zeros),
        kernel_regularizer: regularizer(a, "kernel_regularizer"),
        bias_regularizer: regularizer(a, "bias_regularizer"),
    })
}

fn depthwise_conv2d(a: &mut Arguments<'_>, rank: usize) -> Result<DepthwiseConv2D, FormatError> {
    a.channels_last()?;
    // Keras 2 lists the groups of the convolution beneath, which have no effect.
    a.value("groups");
    Ok(DepthwiseConv2D {
        name: Some(a.name.into()),
        kernel_size: a.pair("kernel_size", None)?,
        strides: a.pair("strides", Some(1))?,
        padding: a.padding()?,
        depth_multiplier: a.size("depth_multiplier", Some(1))?,
        dilation_rate: a.pair("dilation_rate", Some(1))?,
        activation: activation::argument(a, "activation", rank)?,
        use_bias: a.flag("use_bias", true)?,
        depthwise_initializer: initializer(a, "depthwise_initializer", Initializer::GlorotUniform),
        bias_initializer: initializer(a, "bias_initializer", Initializer::Zeros),
        depthwise_regularizer: regularizer(a, "depthwise_regularizer"),
        bias_regularizer: regularizer(a, "bias_regularizer"),
    })
}

fn dense(a: &mut Arguments<'_>, rank: usize) -> Result<Dense, FormatError> {
    Ok(Dense {
        name: Some(a.name.into()),
        units: a.size("units", None)?,
        activation: activation::argument(a, "activation", rank)?,
        use_bias: a.flag("use_bias", true)?,
        kernel_initializer: initializer(a, "kernel_initializer", Initializer::GlorotUniform),
        bias_initializer: initializer(a, "bias_initializer", Initializer::Zeros),
        kernel_regularizer: regularizer(a, "kernel_regularizer"),
        bias_regularizer: regularizer(a, "bias_regularizer"),
    })
}

fn batch_normalization(
    a: &mut Arguments<'_>,
    rank: usize,
) -> Result<BatchNormalization, FormatError> {
    let axis = match a.value("axis") {
        None => Some(-1),
        // Keras 2 writes a list of one.
        Some(Value::Array(one)) if one.len() == 1 => one.first().and_then(Value::as_i64),
        Some(axis) => axis.as_i64(),
    };
    if axis != Some(-1) && axis.and_then(|axis| usize::try_from(axis).ok()) != Some(rank - 1) {
        return Err(a.wrong("axis", "the last"));
    }
    // Without effect where `renorm` is off, and in inference.
    for key in [
        "renorm_clipping",
        "renorm_momentum",
        "synchronized",
        "fused",
    ] {
        a.value(key);
    }
    for (key, default) in [
        ("moving_mean_initializer", Initializer::Zeros),
        ("moving_variance_initializer", Initializer::Ones),
    ] {
        if initializer(a, key, default) != default {
            a.note(format!(
                "{key} is always the default here, which matters only to training anew"
            ));
        }
    }
    Ok(BatchNormalization {
        name: Some(a.name.into()),
        momentum: a.number("momentum", Some(0.99))?,
        epsilon: a.number("epsilon", Some(1e-3))?,
        center: a.flag("center", true)?,
        scale: a.flag("scale", true)?,
        beta_initializer: initializer(a, "beta_initializer", Initializer::Zeros),
        gamma_initializer: initializer(a, "gamma_initializer", Initializer::Ones),
        beta_regularizer: regularizer(a, "beta_regularizer"),
        gamma_regularizer: regularizer(a, "gamma_regularizer"),
    })
}

fn dropout(a: &mut Arguments<'_>) -> Result<Dropout, FormatError> {
    if a.value("noise_shape").is_some() {
        return Err(a.wrong("noise_shape", "none"));
    }
    Ok(Dropout {
        name: Some(a.name.into()),
        rate: a.number("rate", None)?,
    })
}

/// Margins as one number, two or two pairs.
fn margins(a: &mut Arguments<'_>) -> Result<Margins, FormatError> {
    a.channels_last()?;
    let side = |value: &Value| match value {
        Value::Array(two) => match &two[..] {
            [start, end] => Some([size(start)?, size(end)?]),
            _ => None,
        },
        both => size(both).map(|n| [n, n]),
    };
    let found = match a.value("padding") {
        None => Some(1.into()),
        Some(Value::Array(two)) => match &two[..] {
            [rows, columns] => side(rows).zip(side(columns)).map(|(r, c)| Margins([r, c])),
            _ => None,
        },
        Some(all) => size(all).map(Margins::from),
    };
    found.ok_or_else(|| a.wrong("padding", "one, two or four sizes"))
}
