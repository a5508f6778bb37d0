//! A layer of a model and where its input comes from.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::layer::yes;
use super::{Layer, ParameterSpec};

/// A layer in its place: the layer, to which this dereferences, the names of the layers whose
/// outputs it takes, whether it is trained, and factors of its learning rate.
///
/// In a model file `from`, a name or a list of names, `trainable` and the factors are keys beside the
/// layer's own:
///
/// ```
/// use cnn_gpu::model::Sequential;
/// let model = Sequential::from_toml(r#"
///     input_shape = [8, 8, 4]
///     layers = [
///         { type = "Conv2D", filters = 4, kernel_size = 3, padding = "same", trainable = false },
///         { type = "Add", from = ["input", "conv2d"] },
///     ]
/// "#)?;
/// assert_eq!(model.layers[0].from, [""; 0]);
/// assert!(!model.layers[0].trainable);
/// assert_eq!(model.layers[1].from, ["input", "conv2d"]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlacedLayer {
    /// The names of earlier layers, or [`PlacedLayer::INPUT`]. Empty for a layer that takes the
    /// output of the one before it.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "write_names",
        deserialize_with = "read_names"
    )]
    pub from: Vec<String>,
    /// As in Keras, the parameters of a layer that is not trainable, a *frozen* one, keep their
    /// values and have no penalties, and a frozen [`BatchNormalization`](super::BatchNormalization)
    /// normalizes by its moving statistics, as in inference, and does not update them. Frozen
    /// dropout still drops. Default true.
    #[serde(default = "yes", skip_serializing_if = "is_trainable")]
    pub trainable: bool,
    /// What the optimizer's learning rate is multiplied by for this layer's parameters, above 0.
    /// Default 1. It multiplies the rate of the [`UpdateRule`](crate::optimizer::UpdateRule), also
    /// where a schedule or a callback changes it, but not the weight decay, which remains `lr *
    /// weight_decay` for all layers. Keras has no such factors.
    ///
    /// ```
    /// use cnn_gpu::model::{BatchNormalization, Conv2D, Sequential};
    /// let mut model = Sequential::new([8, 8, 3])
    ///     .add(Conv2D::new(4, 3))
    ///     .add(BatchNormalization::new());
    /// model.layers[0].learning_rate_factor = 0.1;
    /// model.layers[1].bias_learning_rate_factor = Some(64.0);
    /// assert_eq!(Sequential::from_toml(&model.to_toml())?, model);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub learning_rate_factor: f32,
    /// The same for the layer's `bias`, or the `beta` of a
    /// [`BatchNormalization`](super::BatchNormalization), in place of
    /// [`learning_rate_factor`](PlacedLayer::learning_rate_factor), which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_learning_rate_factor: Option<f32>,
    /// The layer.
    #[serde(flatten)]
    pub layer: Layer,
}

impl PlacedLayer {
    /// The name of the model's input in [`PlacedLayer::from`].
    pub const INPUT: &str = "input";

    /// The factor of the learning rate of one of its parameters.
    pub(super) fn factor_of(&self, parameter: &ParameterSpec) -> f32 {
        let of_bias = self.bias_learning_rate_factor;
        let of_bias = of_bias.filter(|_| parameter.is_bias());
        of_bias.unwrap_or(self.learning_rate_factor)
    }

    /// Checks the factors of the learning rate, given the layer's parameters.
    pub(super) fn check_factors(&self, parameters: &[ParameterSpec]) -> Result<(), String> {
        let of_bias = self.bias_learning_rate_factor;
        for (key, factor, has) in [
            (
                "learning_rate_factor",
                Some(self.learning_rate_factor).filter(|factor| *factor != one()),
                parameters.iter().any(|p| p.trainable),
            ),
            (
                "bias_learning_rate_factor",
                of_bias,
                parameters.iter().any(ParameterSpec::is_bias),
            ),
        ] {
            match factor {
                // Many GPUs treat numbers below the normal ones as zero.
                Some(factor) if !(factor.is_normal() && factor > 0.0) => {
                    return Err(format!(
                        "{key} {factor} is not a positive number; to keep the layer's values, set trainable = false"
                    ));
                }
                Some(_) if !has => {
                    let what = match key {
                        "learning_rate_factor" => "parameters that are trained",
                        _ => "bias",
                    };
                    return Err(format!("it has no {what}, and so no {key}; remove the key"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn one() -> f32 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
fn is_one(factor: &f32) -> bool {
    *factor == one()
}

impl<L: Into<Layer>> From<L> for PlacedLayer {
    fn from(layer: L) -> Self {
        Self {
            from: Vec::new(),
            trainable: true,
            learning_rate_factor: one(),
            bias_learning_rate_factor: None,
            layer: layer.into(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field")]
fn is_trainable(trainable: &bool) -> bool {
    *trainable
}

impl Deref for PlacedLayer {
    type Target = Layer;

    fn deref(&self) -> &Layer {
        &self.layer
    }
}

impl DerefMut for PlacedLayer {
    fn deref_mut(&mut self) -> &mut Layer {
        &mut self.layer
    }
}

/// The names of layers: one, or several.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSources(pub(super) Vec<String>);

impl From<&str> for LayerSources {
    fn from(name: &str) -> Self {
        Self(vec![name.into()])
    }
}

impl From<String> for LayerSources {
    fn from(name: String) -> Self {
        Self(vec![name])
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for LayerSources {
    fn from(names: [S; N]) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>> From<Vec<S>> for LayerSources {
    fn from(names: Vec<S>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

fn write_names<S: Serializer>(names: &Vec<String>, serializer: S) -> Result<S::Ok, S::Error> {
    match names.as_slice() {
        [name] => name.serialize(serializer),
        names => names.serialize(serializer),
    }
}

fn read_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "expected the name of an earlier layer or an array of names"
    )]
    enum LayerNamesField {
        One(String),
        Several(Vec<String>),
    }

    match LayerNamesField::deserialize(deserializer)? {
        LayerNamesField::One(name) => Ok(vec![name]),
        LayerNamesField::Several(names) if names.is_empty() => Err(serde::de::Error::custom(
            "`from` is empty: expected the names of earlier layers",
        )),
        LayerNamesField::Several(names) => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Sequential;

    fn read(keys: &str) -> crate::error::Result<Sequential> {
        Sequential::from_toml(&format!(
            "input_shape = [8, 8, 4]\nlayers = [{{ filters = 4, kernel_size = 3, {keys} }}, {{ type = \"Flatten\" }}]"
        ))
    }

    #[test]
    fn factors_of_the_learning_rate_are_those_of_the_parameters() {
        let factors = |keys: &str| {
            let model = read(&format!("type = \"Conv2D\", {keys}")).unwrap();
            assert_eq!(Sequential::from_toml(&model.to_toml()).unwrap(), model);
            let parameters = model.resolve().unwrap()[0].parameters();
            let factors = parameters.iter().map(|p| p.learning_rate_factor);
            factors.collect::<Vec<f32>>()
        };
        assert_eq!(factors("use_bias = true"), [1.0, 1.0]);
        assert_eq!(factors("learning_rate_factor = 0.1"), [0.1, 0.1]);
        assert_eq!(factors("bias_learning_rate_factor = 64"), [1.0, 64.0]);
        let both = "learning_rate_factor = 2.5, bias_learning_rate_factor = 1.0";
        assert_eq!(factors(both), [2.5, 1.0]);
        let frozen = format!("trainable = false, {both}");
        assert_eq!(factors(&frozen), [2.5, 1.0]);
    }

    #[test]
    fn factors_without_meaning_are_refused_by_the_name_of_their_layer() {
        for (keys, part) in [
            ("learning_rate_factor = 0.0", "trainable = false"),
            ("learning_rate_factor = -1.0", "not a positive number"),
            ("bias_learning_rate_factor = inf", "not a positive number"),
            ("bias_learning_rate_factor = 1e-45", "not a positive number"),
            (
                "use_bias = false, bias_learning_rate_factor = 2.0",
                "has no bias",
            ),
        ] {
            let message = read(&format!("type = \"Conv2D\", {keys}")).unwrap_err();
            let message = message.to_string();
            assert!(
                message.contains(part) && message.contains("`conv2d`"),
                "{message}"
            );
        }
        let flatten =
            "input_shape = [8, 8, 4]\n[[layers]]\ntype = \"Flatten\"\nlearning_rate_factor = 2.0";
        let message = Sequential::from_toml(flatten).unwrap_err().to_string();
        assert!(message.contains("has no parameters"), "{message}");
    }
}
