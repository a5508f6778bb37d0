//! A layer of a model and where its input comes from.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Layer;
use super::layer::yes;

/// A layer in its place: the layer, to which this dereferences, the names of the layers whose
/// outputs it takes, and whether it is trained.
///
/// In a model file `from`, a name or a list of names, and `trainable` are keys beside the layer's own:
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
    /// The layer.
    #[serde(flatten)]
    pub layer: Layer,
}

impl PlacedLayer {
    /// The name of the model's input in [`PlacedLayer::from`].
    pub const INPUT: &str = "input";
}

impl<L: Into<Layer>> From<L> for PlacedLayer {
    fn from(layer: L) -> Self {
        Self {
            from: Vec::new(),
            trainable: true,
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
