//! Initializers in Keras's notation.

use serde_json::{Value, json};

use super::objects::{KerasObject, object};
use crate::model::{Initializer, Layer, ResolvedLayer};

/// The initializer that a value denotes; `None` if there is no such initializer here. Seeds are
/// left out: draws depend on a run's seed.
pub(super) fn read(value: &Value) -> Option<Initializer> {
    let object = KerasObject::new(value)?;
    Some(match object.plain().as_str() {
        "glorotuniform" => Initializer::GlorotUniform,
        "glorotnormal" => Initializer::GlorotNormal,
        "heuniform" => Initializer::HeUniform,
        "henormal" => Initializer::HeNormal,
        "lecununiform" => Initializer::LecunUniform,
        "lecunnormal" => Initializer::LecunNormal,
        "orthogonal" | "orthogonalinitializer" if object.is("gain", 1.0, 1.0) => {
            Initializer::Orthogonal
        }
        // Only for matrices, in Keras too.
        "identity" | "identityinitializer" if object.is("gain", 1.0, 1.0) => Initializer::Dirac,
        "randomnormal" | "normal" if is_standard(&object) => Initializer::RandomNormal,
        "truncatednormal" if is_standard(&object) => Initializer::TruncatedNormal,
        "randomuniform" | "uniform"
            if object.is("minval", -0.05, -0.05) && object.is("maxval", 0.05, 0.05) =>
        {
            Initializer::RandomUniform
        }
        "variancescaling" => scaling(&object)?,
        "constant" => Initializer::Constant(object.number("value", 0.0) as f32),
        "zeros" | "zero" => Initializer::Zeros,
        "ones" | "one" => Initializer::Ones,
        _ => return None,
    })
}

fn is_standard(object: &KerasObject<'_>) -> bool {
    object.is("mean", 0.0, 0.0) && object.is("stddev", 0.05, 0.05)
}

/// The initializer with a name of its own that a scaling of the variance is.
fn scaling(object: &KerasObject<'_>) -> Option<Initializer> {
    let text = |key, default| object.get(key).map_or(Some(default), Value::as_str);
    let mode = text("mode", "fan_in")?;
    let distribution = text("distribution", "truncated_normal")?;
    let scale = object.number("scale", 1.0);
    let normal = matches!(distribution, "truncated_normal" | "normal");
    Some(match (mode, scale, normal, distribution == "uniform") {
        ("fan_avg", 1.0, true, _) => Initializer::GlorotNormal,
        ("fan_avg", 1.0, _, true) => Initializer::GlorotUniform,
        ("fan_in", 2.0, true, _) => Initializer::HeNormal,
        ("fan_in", 2.0, _, true) => Initializer::HeUniform,
        ("fan_in", 1.0, true, _) => Initializer::LecunNormal,
        ("fan_in", 1.0, _, true) => Initializer::LecunUniform,
        _ => return None,
    })
}

/// The initializer of a convolution's kernel in Keras's notation: the default for one that passes
/// channels through, which Keras lacks.
pub(super) fn write_kernel(initializer: Initializer) -> Value {
    write(match initializer.passes_channels() {
        true => Initializer::default(),
        false => initializer,
    })
}

/// The initializer in Keras's notation, where a Dirac initializer belongs to a matrix; the default
/// for one that Keras lacks.
pub(super) fn write(initializer: Initializer) -> Value {
    let seeded = json!({ "seed": null });
    let (class, config) = match initializer {
        Initializer::GlorotUniform => ("GlorotUniform", seeded),
        Initializer::GlorotNormal => ("GlorotNormal", seeded),
        Initializer::HeUniform => ("HeUniform", seeded),
        Initializer::HeNormal => ("HeNormal", seeded),
        Initializer::LecunUniform => ("LecunUniform", seeded),
        Initializer::LecunNormal => ("LecunNormal", seeded),
        Initializer::Orthogonal => ("Orthogonal", json!({"seed": null, "gain": 1.0})),
        Initializer::RandomNormal => ("RandomNormal", normal()),
        Initializer::TruncatedNormal => ("TruncatedNormal", normal()),
        Initializer::RandomUniform => {
            let config = json!({"seed": null, "minval": -0.05, "maxval": 0.05});
            ("RandomUniform", config)
        }
        Initializer::Dirac => ("Identity", json!({"gain": 1.0})),
        Initializer::DiracUniform => ("GlorotUniform", seeded),
        Initializer::Constant(value) => ("Constant", json!({ "value": value })),
        Initializer::Zeros => ("Zeros", json!({})),
        Initializer::Ones => ("Ones", json!({})),
    };
    object(".initializers", class, config)
}

/// What Keras initialises otherwise, in one line: it has no Dirac initializer but `Identity`, for
/// matrices.
pub(super) fn left_behind(layers: &[ResolvedLayer<'_>]) -> Option<String> {
    let other = |layer: &ResolvedLayer<'_>| match layer.layer {
        Layer::Conv2D(l) => Some(l.kernel_initializer).filter(|i| i.passes_channels()),
        Layer::Dense(l) => Some(l.kernel_initializer).filter(|&i| i == Initializer::DiracUniform),
        _ => None,
    };
    let all = layers.iter().filter_map(|layer| {
        other(layer).map(|initializer| format!("{} of `{}`", initializer.dirac_name(), layer.name))
    });
    let all: Vec<String> = all.collect();
    (!all.is_empty()).then(|| {
        format!(
            "initializers that Keras lacks, which matter only to training anew: {}; the file says glorot_uniform",
            all.join(", ")
        )
    })
}

fn normal() -> Value {
    json!({"seed": null, "mean": 0.0, "stddev": 0.05})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_initializer_comes_back() {
        for initializer in [
            Initializer::GlorotUniform,
            Initializer::GlorotNormal,
            Initializer::HeUniform,
            Initializer::HeNormal,
            Initializer::LecunUniform,
            Initializer::LecunNormal,
            Initializer::Orthogonal,
            Initializer::RandomNormal,
            Initializer::RandomUniform,
            Initializer::TruncatedNormal,
            Initializer::Dirac,
            Initializer::Constant(0.1),
            Initializer::Zeros,
            Initializer::Ones,
        ] {
            assert_eq!(read(&write(initializer)), Some(initializer));
        }
    }

    #[test]
    fn names_and_scalings_are_read_and_others_are_not() {
        let scaling = |config| json!({"class_name": "VarianceScaling", "config": config});
        let he =
            scaling(json!({"scale": 2.0, "mode": "fan_in", "distribution": "truncated_normal"}));
        for (value, expected) in [
            (json!("he_normal"), Some(Initializer::HeNormal)),
            (json!("zeros"), Some(Initializer::Zeros)),
            (he, Some(Initializer::HeNormal)),
            (scaling(json!({"scale": 0.5})), None),
            (
                json!({"class_name": "RandomNormal", "config": {"stddev": 0.02}}),
                None,
            ),
            (json!("identity"), Some(Initializer::Dirac)),
            (
                json!({"class_name": "Identity", "config": {"gain": 2.0}}),
                None,
            ),
            (json!("stft_initializer"), None),
            (json!(3), None),
        ] {
            assert_eq!(read(&value), expected, "{value}");
        }
    }
}
