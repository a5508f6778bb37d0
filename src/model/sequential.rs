//! A list of layers.

mod resolve;

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Layer, LayerSources, Loss, PRESETS, PlacedLayer, ResolvedLayer, preset};
use crate::data::bounded::read_text;
use crate::error::{Error, FormatError, Result};
use crate::read_toml::{line_of_element, read_toml};
use crate::words::one_line;

/// A model: the shape of its input and its layers, one after the other. A layer takes the output of
/// the one before it unless it names others, which come earlier: [`Sequential::add_from`] and
/// [`PlacedLayer`].
///
/// ```
/// use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
/// let model = Sequential::new([28, 28, 1])
///     .add(Conv2D::new(32, 3).activation(Activation::Relu))
///     .add(MaxPooling2D::new(2))
///     .add(Flatten::new())
///     .add(Dense::new(10).activation(Activation::Softmax));
/// assert_eq!(model.output_shape()?, vec![10]);
/// assert_eq!(Sequential::from_toml(&model.to_toml())?, model);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Sequential {
    /// Default `sequential`.
    #[serde(default = "default_name")]
    pub name: String,
    /// Height, width and channels of one input image.
    pub input_shape: [usize; 3],
    /// The loss. Default categorical cross-entropy. Keras sets it in `compile`; here it is part
    /// of the model, so that a trained model is evaluated with the loss it was trained on.
    #[serde(default, skip_serializing_if = "is_default")]
    pub loss: Loss,
    /// The layers, first to last.
    #[serde(default)]
    pub layers: Vec<PlacedLayer>,
}

fn default_name() -> String {
    "sequential".into()
}

fn is_default(loss: &Loss) -> bool {
    *loss == Loss::default()
}

impl Sequential {
    /// The longest name of a layer, in bytes: names are cells of tables.
    pub const MAX_LAYER_NAME: usize = 255;

    /// A model without layers, for inputs of this height, width and number of channels.
    pub fn new(input_shape: [usize; 3]) -> Self {
        Self {
            name: default_name(),
            input_shape,
            loss: Loss::default(),
            layers: Vec::new(),
        }
    }

    /// Names the model.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Appends a layer.
    #[expect(
        clippy::should_implement_trait,
        reason = "Keras's name; not an addition"
    )]
    pub fn add(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into().into());
        self
    }

    /// Appends a layer that takes the outputs of these earlier layers, by their names, instead of
    /// that of the layer before it, which an empty list stands for. The model's input is named
    /// `input`. It is Keras's `layer([a, b])`.
    ///
    /// ```
    /// use cnn_gpu::model::{Activation, ActivationLayer, Add, Conv2D, Sequential};
    /// use cnn_gpu::shape::Padding;
    /// let model = Sequential::new([8, 8, 3])
    ///     .add(Conv2D::new(4, 3).strides(2).padding(Padding::Same).name("conv"))
    ///     .add_from("input", Conv2D::new(4, 1).strides(2).name("shortcut"))
    ///     .add_from(["conv", "shortcut"], Add::new())
    ///     .add(ActivationLayer::new(Activation::Relu));
    /// assert_eq!(model.output_shape()?, [4, 4, 4]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    pub fn add_from(mut self, from: impl Into<LayerSources>, layer: impl Into<Layer>) -> Self {
        let mut placed = PlacedLayer::from(layer.into());
        placed.from = from.into().0;
        self.layers.push(placed);
        self
    }

    /// Freezes all layers up to and including `last`: the rest is trained on the features that they
    /// compute, as in transfer learning. See [`PlacedLayer::trainable`].
    ///
    /// ```
    /// use cnn_gpu::model::preset;
    /// let model = preset("mnist-cnn").ok_or("no such preset")?.freeze_until("conv2d_1")?;
    /// let frozen = model.layers.iter().filter(|layer| !layer.trainable).count();
    /// assert_eq!(frozen, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No layer has this name, or no trainable parameter is left; as [`Sequential::resolve`].
    pub fn freeze_until(mut self, last: &str) -> Result<Self> {
        let names = self.layer_names()?;
        let Some(index) = names.iter().position(|name| name == last) else {
            return Err(self.error(format!(
                "no layer is named `{}`; expected one of {}",
                one_line(last),
                names.join(", ")
            )));
        };
        for placed in &mut self.layers[..=index] {
            placed.trainable = false;
        }
        let trained: usize = (self.resolve()?.iter())
            .map(ResolvedLayer::trainable_count)
            .sum();
        match trained {
            0 => Err(self.error(format!(
                "freezing all layers up to `{last}` leaves no parameter to train; name an earlier layer"
            ))),
            _ => Ok(self),
        }
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// Reads a model from the text of a TOML file.
    ///
    /// # Errors
    /// A line that cannot be parsed, or as [`Sequential::check`].
    pub fn from_toml(text: &str) -> Result<Self> {
        let model: Self = read_toml(text).map_err(|e: FormatError| Error::Model {
            model: "(file)".into(),
            message: e.to_string(),
            source: Some(e.into()),
        })?;
        model.check()?;
        Ok(model)
    }

    /// Reads a model from a TOML file.
    ///
    /// # Errors
    /// As [`Sequential::from_toml`], with the file's name; or the file cannot be read.
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = read_text(path).map_err(|e| {
            Error::file(path, format!("cannot read the model file: {e}")).caused_by(e)
        })?;
        let model: Self = read_toml(&text).map_err(|e: FormatError| e.at(path))?;
        let Err(fault) = model.checked() else {
            return Ok(model);
        };
        let error = fault.error;
        let message = match fault.is_in_key {
            true => error.to_string(),
            false => String::new(),
        };
        let index = fault.index;
        let line = index.and_then(|index| line_of_element(&text, "layers", index, &message));
        let line = line.map_or(String::new(), |line| format!("line {line}: "));
        Err(match error {
            Error::Model { message, .. } => Error::file(path, format!("{line}{message}")),
            other => Error::file(path, format!("{line}{other}")).caused_by(other),
        })
    }

    /// A preset by its name, or a model file by its path.
    ///
    /// # Errors
    /// Neither exists, or the file does not hold a model.
    pub fn load(name_or_path: &str) -> Result<Self> {
        let path = Path::new(name_or_path);
        match preset(name_or_path) {
            Some(model) => Ok(model),
            None if path.exists() => Self::from_file(path),
            None => Err(Error::Argument(format!(
                "no model `{name_or_path}`: expected a preset ({}) or the path of a TOML file",
                PRESETS.join(", ")
            ))),
        }
    }

    /// The model as the text of a TOML file.
    pub fn to_toml(&self) -> String {
        // A model consists of names, numbers and flags, all of which TOML can represent.
        toml::to_string(self).unwrap_or_default()
    }

    /// Shape of one output sample.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub fn output_shape(&self) -> Result<Vec<usize>> {
        let last = self.resolve()?.pop();
        Ok(last.map(|layer| layer.output).unwrap_or_default())
    }

    /// Number of parameters, trainable or not.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub fn parameter_count(&self) -> Result<usize> {
        let layers = self.resolve()?;
        Ok(layers.iter().map(ResolvedLayer::parameter_count).sum())
    }

    pub(crate) fn error(&self, message: String) -> Error {
        Error::Model {
            model: one_line(&self.name),
            message,
            source: None,
        }
    }
}

#[cfg(test)]
mod tests;
