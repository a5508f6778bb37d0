//! A list of layers.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Layer, LayerSources, Loss, PRESETS, ParameterSpec, PlacedLayer, Regularizer, preset};
use crate::data::bounded::read_text;
use crate::error::{Error, FormatError, Result};
use crate::read_toml::{line_of_element, read_toml};
use crate::shape::dims;
use crate::words::{counted, one_line};

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

/// An error, and the layer at fault.
struct LayerFault {
    /// The layer's index.
    index: Option<usize>,
    /// Whether the error is in one of the layer's keys, which it then names, and not in the whole.
    is_in_key: bool,
    error: Error,
}

impl LayerFault {
    fn in_key(index: Option<usize>, error: Error) -> Box<Self> {
        Box::new(Self {
            index,
            is_in_key: true,
            error,
        })
    }
}

/// A layer with its name and shapes resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolvedLayer<'a> {
    /// Unique in the model.
    pub name: String,
    /// The layer.
    pub layer: &'a Layer,
    /// The indices of the layers whose outputs it takes; `None` is the model's input.
    pub from: Vec<Option<usize>>,
    /// See [`PlacedLayer::trainable`].
    pub trainable: bool,
    /// Shape of one input sample; of the first input if there are several.
    pub input: Vec<usize>,
    /// Shape of one output sample.
    pub output: Vec<usize>,
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

    /// Every layer with its name and shapes.
    ///
    /// # Errors
    /// The first layer that does not accept its input, a duplicate name, a name in `from` that no
    /// earlier layer has, a layer named `input` where others have `from`, or a tensor that is empty
    /// or too large to index.
    pub fn resolve(&self) -> Result<Vec<ResolvedLayer<'_>>> {
        self.resolved().map_err(|fault| fault.error)
    }

    /// Checks that the model can be used: that its layers accept their inputs, and that each but
    /// the last is the input of another one.
    ///
    /// # Errors
    /// As [`Sequential::resolve`]; the first layer whose output no other layer takes.
    pub fn check(&self) -> Result<()> {
        self.checked().map_err(|fault| fault.error)
    }

    /// As [`Sequential::check`]; an error with the index of the layer at fault.
    fn checked(&self) -> Result<(), Box<LayerFault>> {
        let resolved = self.resolved()?;
        let taken: HashSet<usize> = resolved
            .iter()
            .flat_map(|l| &l.from)
            .flatten()
            .copied()
            .collect();
        let mut before_last = resolved.iter().enumerate().rev().skip(1).rev();
        match before_last.find(|(index, _)| !taken.contains(index)) {
            None => Ok(()),
            Some((index, layer)) => Err(Box::new(LayerFault {
                index: Some(index),
                is_in_key: false,
                error: Error::layer(
                    &layer.name,
                    "no layer takes its output; list it in the `from` of a later layer, or remove it",
                ),
            })),
        }
    }

    fn resolved(&self) -> Result<Vec<ResolvedLayer<'_>>, Box<LayerFault>> {
        self.check_head()
            .map_err(|error| LayerFault::in_key(None, error))?;
        let names_inputs = self.layers.iter().any(|layer| !layer.from.is_empty());
        let mut names = LayerNames::default();
        let mut resolved: Vec<ResolvedLayer<'_>> = Vec::with_capacity(self.layers.len());
        for (index, placed) in self.layers.iter().enumerate() {
            let spec = placed.spec();
            let name = names.name(spec.kind(), spec.given_name());
            let name = name.map_err(|message| self.error(message)).and_then(|name| {
                match names_inputs && name == PlacedLayer::INPUT {
                    true => Err(Error::layer(
                        &name,
                        "layers name their inputs here, and `input` is that of the model; expected another name",
                    )),
                    false => Ok(name),
                }
            });
            let layer = name.and_then(|name| self.resolved_layer(name, placed, &resolved));
            resolved.push(layer.map_err(|error| LayerFault::in_key(Some(index), error))?);
        }
        Ok(resolved)
    }

    /// The layer of this name behind those that are resolved already.
    fn resolved_layer<'a>(
        &'a self,
        name: String,
        placed: &'a PlacedLayer,
        before: &[ResolvedLayer<'_>],
    ) -> Result<ResolvedLayer<'a>> {
        let spec = placed.spec();
        let from = match placed.from.as_slice() {
            [] => Ok(vec![before.len().checked_sub(1)]),
            names => (names.iter())
                .map(|source| self.source(source, before))
                .collect(),
        };
        let from: Vec<Option<usize>> = from.map_err(|message| Error::layer(&name, message))?;
        let shape = |source: &Option<usize>| match source {
            Some(index) => &before[*index].output[..],
            None => &self.input_shape[..],
        };
        let inputs: Vec<&[usize]> = from.iter().map(shape).collect();
        let input = inputs.first().map(|input| input.to_vec());
        let input = input.unwrap_or_default();
        let output = spec
            .merged_shape(&inputs)
            .map_err(|message| Error::layer(&name, message))?;
        check_size(&output).map_err(|message| Error::layer(&name, message))?;
        for parameter in spec.parameters(&input) {
            let numbers = (parameter.regularizer.check())
                .and_then(|()| parameter.initializer.check())
                .and_then(|()| check_size(&parameter.shape));
            numbers.map_err(|message| Error::layer(&name, message))?;
        }
        let trained = before.iter().find(|before| before.trainable_count() > 0);
        if let Some(trained) = trained.filter(|_| placed.is_image_augmentation()) {
            let message = format!(
                "a {} has no gradient and must come before `{}`, which is trained",
                spec.kind(),
                trained.name
            );
            return Err(Error::layer(&name, message));
        }
        Ok(ResolvedLayer {
            name,
            layer: &placed.layer,
            from,
            trainable: placed.trainable,
            input,
            output,
        })
    }

    /// The index of the layer of this name among the resolved ones; `None` is the model's input.
    fn source(&self, name: &str, before: &[ResolvedLayer<'_>]) -> Result<Option<usize>, String> {
        if name == PlacedLayer::INPUT {
            return Ok(None);
        }
        let found = before.iter().position(|layer| layer.name == name);
        if found.is_some() {
            return Ok(found);
        }
        let all = self.layer_names().unwrap_or_default();
        Err(match all.iter().any(|other| other == name) {
            true => format!(
                "`from` names `{name}`, which does not come before it; expected an earlier layer"
            ),
            false => format!(
                "`from` names `{}`, but there is no such layer; expected the name of an earlier one, or `input`",
                one_line(name)
            ),
        })
    }

    /// The names of all layers.
    pub(super) fn layer_names(&self) -> Result<Vec<String>> {
        let mut names = LayerNames::default();
        let mut name = |layer: &PlacedLayer| {
            let spec = layer.spec();
            names.name(spec.kind(), spec.given_name())
        };
        let names: Result<Vec<String>, String> = self.layers.iter().map(&mut name).collect();
        names.map_err(|message| self.error(message))
    }

    /// The model with these layers, each with the indices of those whose outputs it takes; `None`
    /// is the model's input.
    ///
    /// # Errors
    /// Invalid names.
    pub(crate) fn with_layers(mut self, layers: Vec<(Layer, Vec<Option<usize>>)>) -> Result<Self> {
        let (layers, sources): (Vec<Layer>, Vec<_>) = layers.into_iter().unzip();
        self.layers = layers.into_iter().map(PlacedLayer::from).collect();
        let names = self.layer_names()?;
        let name = |source: &Option<usize>| match source {
            Some(index) => names[*index].clone(),
            None => PlacedLayer::INPUT.into(),
        };
        for (index, (placed, sources)) in self.layers.iter_mut().zip(&sources).enumerate() {
            if *sources != [index.checked_sub(1)] {
                placed.from = sources.iter().map(name).collect();
            }
        }
        Ok(self)
    }

    /// Checks that each layer takes the output of the one before it and nothing else, as `format`
    /// requires.
    ///
    /// # Errors
    /// As [`Sequential::resolve`]; the first layer that has other inputs.
    #[cfg(feature = "interchange")]
    pub(crate) fn expect_chain(&self, format: &str) -> Result<()> {
        let resolved = self.resolve()?;
        let mut numbered = resolved.iter().enumerate();
        match numbered.find(|(index, layer)| !layer.follows(*index)) {
            None => Ok(()),
            Some((_, layer)) => Err(Error::layer(
                &layer.name,
                format!(
                    "it names its inputs in `from`, and networks with skip connections have no {format} here; \
                     keep the weights as safetensors"
                ),
            )),
        }
    }

    /// Checks everything but the layers.
    fn check_head(&self) -> Result<()> {
        if self.input_shape.contains(&0) || self.layers.is_empty() {
            return Err(self.error(format!(
                "expected an input of at least 1x1x1 and one layer, received {} and {}",
                dims(&self.input_shape),
                counted(self.layers.len(), "layer")
            )));
        }
        if self.name.contains(char::is_control) {
            return Err(self.error("expected a name without control characters".into()));
        }
        let checked = self.loss.check();
        let checked = checked.and_then(|()| check_size(&self.input_shape));
        checked.map_err(|message| self.error(message))
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

impl ResolvedLayer<'_> {
    /// Whether it takes the output of the layer before it and nothing else, if this is its index.
    pub(crate) fn follows(&self, index: usize) -> bool {
        self.from == [index.checked_sub(1)]
    }

    /// The names of the layers of a model, or [`PlacedLayer::INPUT`], whose outputs this one takes.
    pub fn source_names<'a>(&self, layers: &'a [ResolvedLayer<'_>]) -> Vec<&'a str> {
        let name = |source: &Option<usize>| match source {
            Some(index) => layers.get(*index).map_or("", |layer| &layer.name),
            None => PlacedLayer::INPUT,
        };
        self.from.iter().map(name).collect()
    }

    /// Its parameters: those of a layer that is not trainable are neither trained nor penalized.
    pub fn parameters(&self) -> Vec<ParameterSpec> {
        let specs = self.layer.spec().parameters(&self.input).into_iter();
        match self.trainable {
            true => specs.collect(),
            false => specs
                .map(|spec| spec.regularized(Regularizer::default()).not_trainable())
                .collect(),
        }
    }

    /// Number of parameters of this layer, trainable or not.
    pub fn parameter_count(&self) -> usize {
        self.count(|_| true)
    }

    /// Number of parameters of this layer that the optimizer updates.
    pub fn trainable_count(&self) -> usize {
        self.count(|p| p.trainable)
    }

    fn count(&self, counts: impl Fn(&ParameterSpec) -> bool) -> usize {
        let parameters = self.parameters();
        let counted = parameters.iter().filter(|p| counts(p));
        counted.map(|p| p.shape.iter().product::<usize>()).sum()
    }
}

/// Tensors stay below 2^31 elements, so that every index fits on every device.
fn check_size(shape: &[usize]) -> Result<(), String> {
    let count = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n < 1 << 31);
    match count {
        Some(_) => Ok(()),
        None => Err(format!(
            "a tensor of {} has more than 2^31 elements; make the layer smaller",
            dims(shape)
        )),
    }
}

/// Assigns layer names: the user's own, or Keras's (`conv2d`, `conv2d_1`, ...).
#[derive(Default)]
struct LayerNames {
    taken: HashSet<String>,
    counts: HashMap<&'static str, usize>,
}

impl LayerNames {
    fn name(&mut self, kind: &'static str, given: Option<&str>) -> Result<String, String> {
        let name = match given {
            Some("") => return Err("a layer's name is empty".into()),
            Some(name) if name.len() > Sequential::MAX_LAYER_NAME => {
                let start: String = name.chars().take(20).collect();
                return Err(format!(
                    "the layer name {start:?}... has {} bytes; expected at most {}",
                    name.len(),
                    Sequential::MAX_LAYER_NAME
                ));
            }
            Some(name) if name.contains('/') || name.contains(char::is_control) => {
                return Err(format!(
                    "layer name {name:?} must not contain `/` or control characters"
                ));
            }
            Some(name) => name.to_owned(),
            None => {
                let count = self.counts.entry(kind).or_insert(0);
                *count += 1;
                match *count - 1 {
                    0 => snake_case(kind),
                    n => format!("{}_{n}", snake_case(kind)),
                }
            }
        };
        if !self.taken.insert(name.clone()) {
            return Err(format!("two layers are named `{name}`; rename one of them"));
        }
        Ok(name)
    }
}

/// `MaxPooling2D` -> `max_pooling2d`, as Keras names layers.
fn snake_case(kind: &str) -> String {
    let mut out = String::new();
    let mut before_was_lower = false;
    for c in kind.chars() {
        if c.is_ascii_uppercase() && before_was_lower {
            out.push('_');
        }
        before_was_lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Activation, ActivationLayer, Add, BatchNormalization, Concatenate, Conv2D, Dense,
        DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, GlobalMaxPooling2D, Initializer,
        MaxPooling2D, Regularizer, Rescaling, SpatialDropout2D, ZeroPadding2D,
    };
    use crate::shape::Padding;

    #[test]
    fn names_follow_keras() {
        let model = Sequential::new([28, 28, 1])
            .add(Conv2D::new(2, 3))
            .add(MaxPooling2D::new(2))
            .add(Conv2D::new(2, 3))
            .add(Flatten::new())
            .add(Dense::new(3).name("head"));
        let names: Vec<_> = model
            .resolve()
            .unwrap()
            .into_iter()
            .map(|l| l.name)
            .collect();
        assert_eq!(
            names,
            ["conv2d", "max_pooling2d", "conv2d_1", "flatten", "head"]
        );
    }

    #[test]
    fn a_wrong_value_in_a_file_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.toml");
        let start = "input_shape = [8, 8, 1]\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = ";
        for (rest, expected) in [
            (
                "\"Dense\"\nunits = 0\n",
                "line 6: layer `dense`: units must be",
            ),
            (
                "\"Conv2D\"\nfilters = 1\nkernel_size = 3\n",
                "line 4: layer `conv2d`: ",
            ),
        ] {
            std::fs::write(&path, format!("{start}{rest}")).unwrap();
            let message = Sequential::from_file(&path).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
        std::fs::write(&path, "input_shape = [0, 8, 1]\nlayers = []\n").unwrap();
        let message = Sequential::from_file(&path).unwrap_err().to_string();
        assert!(!message.contains("line"), "{message}");
    }

    #[test]
    fn inputs_of_layers_are_names_in_a_file() {
        let model = Sequential::new([4, 4, 2])
            .add(Conv2D::new(3, 1).name("a"))
            .add_from("input", Conv2D::new(3, 1))
            .add_from(["a", "conv2d", "a"], Add::new())
            .add(Flatten::new())
            .add_from(["flatten", "flatten"], Concatenate::new());
        let text = model.to_toml();
        for line in ["from = \"input\"\n", "from = [\"a\", \"conv2d\", \"a\"]\n"] {
            assert!(text.contains(line), "{text}");
        }
        assert_eq!(Sequential::from_toml(&text).unwrap(), model);
        let resolved = model.resolve().unwrap();
        let from: Vec<_> = resolved.iter().map(|layer| layer.from.clone()).collect();
        let earlier = vec![Some(0), Some(1), Some(0)];
        assert_eq!(
            from,
            [
                vec![None],
                vec![None],
                earlier,
                vec![Some(2)],
                vec![Some(3); 2]
            ]
        );
        assert_eq!(resolved[4].output, [96]);
        let summary = model.summary().unwrap();
        assert!(summary.contains("│ a, conv2d, a "), "{summary}");
    }

    #[test]
    fn wrong_inputs_are_named_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("net.toml");
        let start = "input_shape = [4, 4, 2]\n[[layers]]\ntype = \"Flatten\"\nname = \"a\"\n\
                     [[layers]]\ntype = \"Dense\"\nunits = 3\nname = \"b\"\n[[layers]]\n";
        for (rest, expected) in [
            (
                "type = \"Add\"\nfrom = [\"b\", \"c\"]",
                "line 11: layer `add`: `from` names `c`, but there is no such layer",
            ),
            (
                "type = \"Add\"\nfrom = [\"b\", \"add\"]",
                "line 11: layer `add`: `from` names `add`, which does not come before it",
            ),
            (
                "type = \"Add\"\nfrom = [\"b\", \"d\"]\n[[layers]]\ntype = \"Flatten\"\nname = \"d\"",
                "line 11: layer `add`: `from` names `d`, which does not come before it",
            ),
            (
                "type = \"Add\"\nfrom = [\"b\", \"a\"]",
                "line 11: layer `add`: `from` names layers with outputs of 3 and 32",
            ),
            (
                "type = \"Add\"\nfrom = \"b\"",
                "line 11: layer `add`: expected the names of at least two layers in `from`",
            ),
            (
                "type = \"Add\"",
                "line 9: layer `add`: expected the names of at least two layers",
            ),
            (
                "type = \"Concatenate\"\nfrom = [\"b\", \"input\"]",
                "line 11: layer `concatenate`: `from` names layers with outputs of 3 and 4x4x2",
            ),
            (
                "type = \"Dense\"\nunits = 2\nfrom = [\"a\", \"b\"]",
                "line 12: layer `dense`: `from` has 2 names; expected one",
            ),
            (
                "type = \"Dense\"\nunits = 2\nfrom = \"a\"",
                "line 5: layer `b`: no layer takes its output",
            ),
            (
                "type = \"Dense\"\nunits = 2\nname = \"units\"\nfrom = \"a\"\n[[layers]]\ntype = \"Add\"\nfrom = [\"b\", \"b\"]",
                "line 9: layer `units`: no layer takes its output",
            ),
            (
                "type = \"Dense\"\nunits = 2\nname = \"input\"\nfrom = \"b\"",
                "line 12: layer `input`: layers name their inputs here",
            ),
            ("type = \"Add\"\nfrom = []", "line 11: `from` is empty"),
            (
                "type = \"Add\"\nfrom = 3",
                "line 11: expected the name of an earlier layer or an array of names",
            ),
            (
                "type = \"Dense\"\nunits = 2\nunit = 3",
                "line 12: unknown field `unit`",
            ),
        ] {
            std::fs::write(&path, format!("{start}{rest}\n")).unwrap();
            let message = Sequential::from_file(&path).unwrap_err().to_string();
            assert!(message.contains(expected), "{rest}: {message}");
            assert!(!message.contains('\n'), "{message}");
        }
        // Without `from` nothing else has that name.
        let chain = Sequential::new([2, 2, 1]).add(Flatten::new().name("input"));
        assert!(chain.check().is_ok());
    }

    #[test]
    fn defaults_in_a_file_are_keras_defaults() {
        let text = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Conv2D\"\nfilters = 32\nkernel_size = 3\n";
        let model = Sequential::from_toml(text).unwrap();
        assert_eq!(model, Sequential::new([28, 28, 1]).add(Conv2D::new(32, 3)));
    }

    #[test]
    fn an_unknown_key_or_type_is_named_with_its_line() {
        let text = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Dense\"\nunit = 3\n";
        let message = Sequential::from_toml(text).unwrap_err().to_string();
        assert!(message.contains("unit"), "{message}");
        let text = "input_shape = [28, 28, 1]\n[[layers]]\ntype = \"Dens\"\nunits = 3\n";
        let message = Sequential::from_toml(text).unwrap_err().to_string();
        assert!(
            message.contains("Dens") && !message.contains('\n'),
            "{message}"
        );
    }

    #[test]
    fn impossible_layers_are_refused_by_name() {
        let too_large = Sequential::new([28, 28, 1]).add(Conv2D::new(2, 29).name("first"));
        let message = too_large.resolve().unwrap_err().to_string();
        assert!(
            message.contains("first") && message.contains("29x29"),
            "{message}"
        );
        let not_flat = Sequential::new([28, 28, 1]).add(Dense::new(10));
        assert!(
            not_flat
                .resolve()
                .unwrap_err()
                .to_string()
                .contains("Flatten")
        );
        let huge = Sequential::new([1 << 32, 1 << 32, 3]).add(GlobalMaxPooling2D::new());
        assert!(huge.resolve().unwrap_err().to_string().contains("2^31"));
        let twice = Sequential::new([2, 2, 1])
            .add(Flatten::new().name("a"))
            .add(Dense::new(1).name("a"));
        assert!(twice.resolve().unwrap_err().to_string().contains("`a`"));
        let named = |n| Sequential::new([2, 2, 1]).add(Flatten::new().name("é".repeat(n)));
        assert!(named(127).resolve().is_ok());
        let message = named(128).resolve().unwrap_err().to_string();
        assert!(
            message.contains("has 256 bytes; expected at most 255"),
            "{message}"
        );
    }

    #[test]
    fn every_layer_survives_a_model_file() {
        let model = Sequential::new([12, 12, 2])
            .add(Rescaling::new(2.0).offset(-1.0))
            .add(ZeroPadding2D::new([[1, 0], [2, 3]]))
            .add(
                Conv2D::new(4, 3)
                    .dilation_rate((2, 1))
                    .groups(2)
                    .kernel_initializer(Initializer::Constant(0.5))
                    .kernel_regularizer(Regularizer { l1: 0.5, l2: 0.25 }),
            )
            .add(BatchNormalization::new().momentum(0.5).scale(false))
            .add(SpatialDropout2D::new(0.25))
            .add(DepthwiseConv2D::new(2).depth_multiplier(2))
            .add(ActivationLayer::new(Activation::LeakyRelu))
            .add(GlobalMaxPooling2D::new().keepdims(true))
            .add(GlobalAveragePooling2D::new())
            .add(Dropout::new(0.5))
            .add(Dense::new(3).activation(Activation::Softmax));
        assert_eq!(Sequential::from_toml(&model.to_toml()).unwrap(), model);
        let text = "input_shape = [4, 4, 1]\n[[layers]]\ntype = \"ZeroPadding2D\"\npadding = 2\n";
        let shape = Sequential::from_toml(text).unwrap().output_shape();
        assert_eq!(shape.unwrap(), [8, 8, 1]);
    }

    #[track_caller]
    fn assert_refused(layer: impl Into<Layer>, part: &str) {
        let model = Sequential::new([8, 8, 3]).add(layer);
        let message = model.resolve().unwrap_err().to_string();
        assert!(
            message.contains(part) && !message.contains('\n'),
            "{message}"
        );
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused_in_one_line() {
        assert_refused(Dropout::new(1.0), "rate 1 must");
        assert_refused(SpatialDropout2D::new(-0.5), "rate -0.5 must");
        assert_refused(
            Conv2D::new(4, 3).groups(2),
            "3 input channels and 4 filters",
        );
        assert_refused(Conv2D::new(6, 3).groups(0), "0 groups");
        assert_refused(Conv2D::new(4, 3).strides(2).dilation_rate(2), "2x2");
        assert_refused(Conv2D::new(4, 3).dilation_rate(0), "0x0");
        assert_refused(Conv2D::new(4, 3).dilation_rate(4), "9x9");
        assert_refused(DepthwiseConv2D::new(3).depth_multiplier(0), "at least 1");
        assert_refused(BatchNormalization::new().momentum(1.5), "momentum 1.5");
        assert_refused(BatchNormalization::new().epsilon(0.0), "epsilon 0");
        assert_refused(Rescaling::new(f32::NAN), "finite");
        let negative = Conv2D::new(4, 3).kernel_regularizer(Regularizer::l2(-1.0));
        assert_refused(negative, "l2 = -1");
        let huge = ZeroPadding2D::new([usize::MAX, 0]);
        assert_refused(huge, "2^31");
        let pool = |size: usize| MaxPooling2D::new(size).padding(Padding::Same);
        assert_refused(pool(1 << 32), "too large");
        assert_refused(pool(2).strides(1 << 40), "too large");
    }
}
