//! Names, inputs and shapes of a model's layers, and what is wrong with them.

use std::collections::{HashMap, HashSet};

use super::Sequential;
use crate::error::{Error, Result};
use crate::model::layer_names::LayerNames;
use crate::model::{PlacedLayer, ResolvedLayer};
use crate::shape::dims;
use crate::words::{counted, one_line};

/// An error, and the layer at fault.
pub(super) struct LayerFault {
    /// The layer's index.
    pub index: Option<usize>,
    /// Whether the error is in one of the layer's keys, which it then names, and not in the whole.
    pub is_in_key: bool,
    pub error: Error,
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

impl Sequential {
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
    pub(super) fn checked(&self) -> Result<(), Box<LayerFault>> {
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
        let mut indices = HashMap::new();
        // Searching for it before each layer would take as long as the square of their number.
        let mut trained = None;
        for (index, placed) in self.layers.iter().enumerate() {
            let name = names.of(placed).map_err(|message| self.error(message)).and_then(|name| {
                match names_inputs && name == PlacedLayer::INPUT {
                    true => Err(Error::layer(
                        &name,
                        "layers name their inputs here, and `input` is that of the model; expected another name",
                    )),
                    false => Ok(name),
                }
            });
            let layer =
                name.and_then(|name| self.resolved_layer(name, placed, (&resolved, &indices)));
            let layer =
                layer.and_then(|layer| layer.before_trained(trained.map(|i: usize| &resolved[i])));
            let layer = layer.map_err(|error| LayerFault::in_key(Some(index), error))?;
            if trained.is_none() && layer.trainable_count() > 0 {
                trained = Some(index);
            }
            indices.insert(layer.name.clone(), index);
            resolved.push(layer);
        }
        Ok(resolved)
    }

    /// The layer of this name behind those that are resolved already, given with the indices of their names.
    fn resolved_layer<'a>(
        &'a self,
        name: String,
        placed: &'a PlacedLayer,
        (before, indices): (&[ResolvedLayer<'_>], &HashMap<String, usize>),
    ) -> Result<ResolvedLayer<'a>> {
        let spec = placed.spec();
        let from = match placed.from.as_slice() {
            [] => Ok(vec![before.len().checked_sub(1)]),
            names => (names.iter())
                .map(|source| self.source(source, indices))
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
        let parameters = spec.parameters(&input);
        placed
            .check_factors(&parameters)
            .map_err(|message| Error::layer(&name, message))?;
        for parameter in parameters {
            let numbers = (parameter.regularizer.check())
                .and_then(|()| parameter.initializer.check())
                .and_then(|()| {
                    (parameter.initializer).check_shape(parameter.name, &parameter.shape)
                })
                .and_then(|()| check_size(&parameter.shape));
            numbers.map_err(|message| Error::layer(&name, message))?;
        }
        Ok(ResolvedLayer {
            name,
            layer: &placed.layer,
            from,
            trainable: placed.trainable,
            placed,
            input,
            output,
        })
    }

    /// The index of the layer of this name among the resolved ones; `None` is the model's input.
    fn source(
        &self,
        name: &str,
        indices: &HashMap<String, usize>,
    ) -> Result<Option<usize>, String> {
        if name == PlacedLayer::INPUT {
            return Ok(None);
        }
        if let Some(index) = indices.get(name) {
            return Ok(Some(*index));
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
    pub(in crate::model) fn layer_names(&self) -> Result<Vec<String>> {
        let mut names = LayerNames::default();
        let all = self.layers.iter().map(|layer| names.of(layer));
        let all: Result<Vec<String>, String> = all.collect();
        all.map_err(|message| self.error(message))
    }

    /// The model with these layers, each with the indices of those whose outputs it takes; `None`
    /// is the model's input.
    ///
    /// # Errors
    /// Invalid names.
    pub(crate) fn with_layers<L: Into<PlacedLayer>>(
        mut self,
        layers: Vec<(L, Vec<Option<usize>>)>,
    ) -> Result<Self> {
        let (layers, sources): (Vec<L>, Vec<_>) = layers.into_iter().unzip();
        self.layers = layers.into_iter().map(Into::into).collect();
        let names = self.layer_names()?;
        let name = |source: &Option<usize>| match source {
            Some(index) => names[*index].clone(),
            None => PlacedLayer::INPUT.into(),
        };
        for (index, (placed, sources)) in self.layers.iter_mut().zip(&sources).enumerate() {
            placed.from = match sources[..] == [index.checked_sub(1)] {
                true => Vec::new(),
                false => sources.iter().map(name).collect(),
            };
        }
        Ok(self)
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
}

impl<'a> ResolvedLayer<'a> {
    /// The layer, unless it augments images behind the first layer that is trained.
    fn before_trained(self, trained: Option<&Self>) -> Result<ResolvedLayer<'a>> {
        match trained.filter(|_| self.layer.is_image_augmentation()) {
            None => Ok(self),
            Some(trained) => {
                let message = format!(
                    "a {} has no gradient and must come before `{}`, which is trained",
                    self.layer.spec().kind(),
                    trained.name
                );
                Err(Error::layer(&self.name, message))
            }
        }
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
