//! A model, and where Keras stores its weights.

#[cfg(test)]
mod tests;

use serde_json::Value;

use super::arguments::Arguments;
use super::assembly::{Assembly, ListedLayer, Vectors, indexable};
use super::config::{KerasGraph, KerasLayer, graph};
use super::layers;
use super::names::GroupNames;
use super::order::keras_order;
use crate::error::{FormatError, Result};
use crate::interchange::pixels::{feed_fractions, square_image, vector_note};
use crate::model::Sequential;
use crate::shape::dims;

/// How Keras lists the layers of a model.
pub(super) struct Blueprint {
    /// The model.
    pub(super) model: Sequential,
    /// Keras's layers, in the order of the model's.
    pub(super) listed: Vec<ListedLayer>,
    /// The shape of Keras's inputs, if they are the model's in another form.
    pub(super) input_shape: Option<Vec<usize>>,
    /// What was assumed or left behind, one line each.
    pub(super) notes: Vec<String>,
}

/// Where Keras stores a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The group of its layer, such as `conv2d_1`.
    pub(super) group: String,
    /// The place of its layer in Keras's order, in which weights and moments are listed.
    pub(super) rank: usize,
    /// Its number among the layer's variables.
    pub(super) variable: usize,
    /// Whether the optimizer updates it.
    pub(super) is_trainable: bool,
}

impl Blueprint {
    /// The blueprint of a model that has no layers that Keras lacks.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub(super) fn of(model: Sequential) -> Result<Self> {
        let mut names = GroupNames::default();
        let ordered = keras_order(&model.resolve()?).into_iter().enumerate();
        let listed = ordered.map(|(rank, index)| ListedLayer {
            group: names.next(layers::class(&model.layers[index])),
            rank,
            index: Some(index),
            is_trainable: true,
        });
        let mut listed: Vec<ListedLayer> = listed.collect();
        listed.sort_by_key(|layer| layer.index);
        Ok(Self {
            listed,
            model,
            input_shape: None,
            notes: Vec::new(),
        })
    }

    /// Reads Keras's configuration of a model. `is_unchanged` tells that its inputs are those of the
    /// model to make, as when this crate wrote it; otherwise they become pixels divided by 255, and vectors square
    /// images.
    ///
    /// # Errors
    /// One line: what is not supported, by the name of its layer.
    pub(super) fn read(config: &Value, is_unchanged: bool) -> Result<Self, FormatError> {
        let graph = graph(config)?;
        let mut notes = Vec::new();
        let form = is_unchanged.then(|| other_form(&graph)).flatten();
        let input_shape = match form {
            Some(image) => image,
            None => input_shape(&graph, &mut notes)?,
        };
        if input_shape.contains(&0) {
            let shape = dims(&input_shape);
            return Err(
                format!("its inputs have the shape {shape}: expected sizes of at least 1").into(),
            );
        }
        indexable(&input_shape)?;
        let vectors = match graph.input.len() == 1 && !is_reshaped(&graph) {
            true if is_unchanged => Vectors::Features,
            true => Vectors::Pixels,
            false => Vectors::None,
        };
        let mut assembly = Assembly::new(&graph, input_shape, notes);
        for layer in &graph.layers {
            assembly.push(layer, vectors)?;
        }
        let (layers, listed, notes) = assembly.finish();
        let model = Sequential::new(input_shape).name(graph.name);
        let model = model.with_layers(layers);
        let mut blueprint = Self {
            model: model.map_err(FormatError::from_cause)?,
            listed,
            input_shape: form.map(|_| graph.input.clone()),
            notes,
        };
        if !is_unchanged {
            blueprint.feed_fractions();
        }
        Ok(blueprint)
    }

    /// Makes a model for pixels from 0 to 255 one for pixels divided by 255.
    fn feed_fractions(&mut self) {
        let (notes, left_out) = feed_fractions(&mut self.model);
        self.notes.extend(notes);
        let Some(left_out) = left_out else { return };
        for listed in &mut self.listed {
            listed.index = match listed.index {
                Some(index) if index > left_out => Some(index - 1),
                Some(index) if index == left_out => None,
                index => index,
            };
        }
    }

    /// Where Keras stores each parameter, in the order of the model's parameters.
    ///
    /// # Errors
    /// As [`Sequential::resolve`].
    pub(super) fn places(&self) -> Result<Vec<Place>> {
        let resolved = self.model.resolve()?;
        let mut places = Vec::new();
        for listed in &self.listed {
            let layer = listed.index.and_then(|index| resolved.get(index));
            let Some(layer) = layer else { continue };
            let parameters = layer.parameters();
            places.extend(parameters.iter().enumerate().map(|(variable, p)| Place {
                group: listed.group.clone(),
                rank: listed.rank,
                variable,
                is_trainable: listed.is_trainable && p.trainable,
            }));
        }
        Ok(places)
    }
}

/// The image of 1x1xn of inputs that are vectors, or of hxwx1 of those of height and width that nothing but one `Flatten`
/// takes; none for others.
fn other_form(graph: &KerasGraph<'_>) -> Option<[usize; 3]> {
    match *graph.input.as_slice() {
        [n] if !is_reshaped(graph) => Some([1, 1, n]),
        [h, w] => {
            let mut takers = graph
                .layers
                .iter()
                .filter(|layer| layer.from.contains(&None));
            let is_flattened = takers.all(|layer| layer.class == "Flatten");
            (is_flattened && !graph.layers.is_empty()).then_some([h, w, 1])
        }
        _ => None,
    }
}

/// The height, width and channels of an input. One without channels has one if only layers
/// `Flatten`, which hide the difference, take it; one that is reshaped to images wherever it is taken has
/// their shape, and a vector is the pixels of a square image.
fn input_shape(graph: &KerasGraph<'_>, notes: &mut Vec<String>) -> Result<[usize; 3], FormatError> {
    if let Ok(shape) = graph.input.as_slice().try_into() {
        return Ok(shape);
    }
    let takers = takers(graph);
    let image = |layer: &KerasLayer<'_>| layers::reshaped(layer.config, &graph.input);
    let reshaped = takers.first().and_then(|layer| image(layer));
    let refused = |layer: &KerasLayer<'_>, problem: String| {
        Arguments::new(layer.class, &layer.name, layer.config).error(problem)
    };
    if let Some(other) = takers.iter().find(|layer| image(layer) != reshaped) {
        let first = takers.first().map_or("", |first| &first.name);
        let problem = format!(
            "it takes the inputs in another shape than layer `{first}`; expected the same Reshape wherever they are \
             taken"
        );
        return Err(refused(other, problem));
    }
    // Another height and width would be another image.
    let keeps = |shape: &[usize; 3]| graph.input.len() == 1 || shape[..2] == graph.input;
    if let Some(shape) = reshaped.filter(keeps) {
        let vector = match *graph.input.as_slice() {
            [n] => Some(vector_note(n, shape, false)),
            _ => None,
        };
        notes.extend(vector);
        return Ok(shape);
    }
    let other = takers.iter().find(|layer| layer.class != "Flatten");
    if let (&[h, w], Some(other)) = (graph.input.as_slice(), other) {
        let problem = format!(
            "it takes inputs of {h}x{w}; expected height x width x channels, or that only Flatten takes them"
        );
        return Err(refused(other, problem));
    }
    match *graph.input.as_slice() {
        [h, w] if !takers.is_empty() => {
            notes.push(format!(
                "inputs of {h}x{w} without channels are taken as {h}x{w}x1"
            ));
            Ok([h, w, 1])
        }
        [n] if square_image(n).is_some() => {
            let image = square_image(n).unwrap_or_default();
            notes.push(vector_note(n, image, true));
            Ok(image)
        }
        _ => Err(format!(
            "its inputs have the shape {}: expected height x width x channels, or a vector of the pixels of a \
             square image",
            dims(&graph.input)
        )
        .into()),
    }
}

/// The layers that take the inputs, directly or from layers that treat each element alike, and are not such
/// layers themselves, or join the inputs with something else.
fn takers<'a>(graph: &'a KerasGraph<'a>) -> Vec<&'a KerasLayer<'a>> {
    // Whether a layer passes the inputs on.
    let mut passes: Vec<bool> = Vec::with_capacity(graph.layers.len());
    let mut takers = Vec::new();
    for layer in &graph.layers {
        let takes = |from: &Option<usize>| from.is_none_or(|index| passes[index]);
        let passes_on = layers::is_pointwise(layer.class) && layer.from.iter().all(takes);
        if !passes_on && layer.from.iter().any(takes) {
            takers.push(layer);
        }
        passes.push(passes_on);
    }
    takers
}

/// Whether layers make images of inputs.
fn is_reshaped(graph: &KerasGraph<'_>) -> bool {
    let takers = takers(graph);
    let first = takers.first();
    first.is_some_and(|layer| layers::reshaped(layer.config, &graph.input).is_some())
}
