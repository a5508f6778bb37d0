//! Puts a model together from Keras's layers.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::arguments::Arguments;
use super::config::{KerasGraph, KerasLayer};
use super::inputs::FEATURES;
use super::layers;
use crate::error::FormatError;
use crate::model::{Flatten, Layer, PlacedLayer, Rescaling};
use crate::shape::dims;

/// A layer of the model, with the indices of those whose outputs it takes; `None` is the model's input.
pub(super) type SourcedLayer = (PlacedLayer, Vec<Option<usize>>);

/// The layers of a model so far.
pub(super) struct Assembly<'a> {
    layers: Vec<SourcedLayer>,
    listed: Vec<ListedLayer>,
    notes: Vec<String>,
    input: KerasOutput,
    /// What each of Keras's layers makes.
    outputs: Vec<KerasOutput>,
    /// How often the output of each of Keras's layers is taken.
    uses: Vec<usize>,
    /// How often by a `Resizing` like that behind a `RandomCrop` in files of this crate, to the size that the layer
    /// has among its arguments.
    resizings: Vec<usize>,
    /// Which of Keras's layers are operations.
    operations: HashSet<usize>,
    /// The layers that flatten the input, or what others make of its elements.
    flattened: HashMap<Option<usize>, usize>,
    /// The names of Keras's layers, and the number of the next name to try for one that is added.
    names: HashSet<&'a str>,
    number: usize,
    /// Whether a layer is trained.
    trains: bool,
}

/// Whether a model takes vectors, and which images they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Vectors {
    /// It takes images.
    None,
    /// Those of height and width, which layers that treat each element alike can take.
    Pixels,
    /// Those of 1x1xn, whose features are flattened first of all.
    Features,
}

/// A layer as Keras lists it.
pub(super) struct ListedLayer {
    /// The group of its weights.
    pub(super) group: String,
    /// Its place in Keras's order.
    pub(super) rank: usize,
    /// Its index among the model's layers, unless it was left out.
    pub(super) index: Option<usize>,
    pub(super) is_trainable: bool,
}

/// The output of one of Keras's layers.
#[derive(Clone)]
struct KerasOutput {
    /// The layer of the model that makes it; `None` is the model's input.
    layer: Option<usize>,
    /// The shape of one sample.
    shape: Vec<usize>,
    /// Whether a `RandomCrop` before it changed the size, which Keras does in training only, and no `Resizing`
    /// does so in inference.
    is_cropped: bool,
}

impl<'a> Assembly<'a> {
    /// No layers behind an input of this shape.
    pub(super) fn new(graph: &'a KerasGraph<'a>, input: [usize; 3], notes: Vec<String>) -> Self {
        let mut uses = vec![0; graph.layers.len()];
        for &source in graph.layers.iter().flat_map(|layer| &layer.from).flatten() {
            uses[source] += 1;
        }
        let mut resizings = vec![0; graph.layers.len()];
        for layer in &graph.layers {
            if let [Some(source)] = layer.from[..] {
                let is_resizing = resizes(layer, graph.layers[source].config);
                resizings[source] += usize::from(is_resizing);
            }
        }
        Self {
            layers: Vec::with_capacity(graph.layers.len()),
            listed: Vec::with_capacity(graph.layers.len()),
            notes,
            input: KerasOutput {
                layer: None,
                shape: input.to_vec(),
                is_cropped: false,
            },
            outputs: Vec::with_capacity(graph.layers.len()),
            uses,
            resizings,
            operations: HashSet::new(),
            flattened: HashMap::new(),
            names: graph
                .layers
                .iter()
                .map(|layer| layer.name.as_str())
                .collect(),
            number: 0,
            trains: false,
        }
    }

    /// Adds the next layer of a model that takes such inputs.
    ///
    /// # Errors
    /// One line: what is not supported, by the name of the layer.
    pub(super) fn push(
        &mut self,
        layer: &KerasLayer<'_>,
        vectors: Vectors,
    ) -> Result<(), FormatError> {
        let mut arguments = Arguments::new(layer.class, &layer.name, layer.config);
        if layer.from.len() > 1 && !layers::merges(layer.class) {
            return Err(
                arguments.error("it joins several inputs, which only Add and Concatenate can")
            );
        }
        let sources = layer.from.iter();
        let sources = sources.map(|from| from.map_or(&self.input, |index| &self.outputs[index]));
        let mut inputs: Vec<KerasOutput> = sources.cloned().collect();
        let is_flattened = match vectors {
            Vectors::None => false,
            Vectors::Pixels => inputs.len() > 1 || !layers::is_pointwise(layer.class),
            Vectors::Features => layer.class != "Flatten",
        };
        if is_flattened {
            for input in inputs.iter_mut().filter(|input| input.shape.len() == 3) {
                *input = self.flat(input, vectors);
            }
        }
        let input = inputs
            .first()
            .ok_or_else(|| arguments.error("it has no input"))?;
        if layer.class == "Resizing" && input.is_cropped && !layers::resizes_as_behind(layer.config)
        {
            return Err(arguments.error(
                "it comes behind a RandomCrop, which Keras leaves out in inference; expected crop_to_aspect_ratio and \
                 otherwise Keras's defaults, which is what RandomCrop means",
            ));
        }
        let operation = layers::operation(&arguments, layer.operands());
        let is_operation = operation.is_some();
        if layers::merges(layer.class) && !is_operation {
            check_join(layer, &inputs).map_err(|problem| arguments.error(problem))?;
        } else if inputs.len() > 1 {
            return Err(
                arguments.error("it computes with a number and several inputs; expected one")
            );
        }
        let read = match operation {
            Some(Layer::Rescaling(next)) if self.rescale_further(layer, &next) => None,
            Some(operation) => Some(operation),
            None => layers::read(&mut arguments, &input.shape, self.trains)?,
        };
        let is_trainable = arguments.is_trainable() && !layer.is_in_frozen_model;
        let has_weights = |layer: &Layer| !layer.spec().parameters(&input.shape).is_empty();
        let has_weights = read.as_ref().is_some_and(has_weights);
        let is_frozen = !is_trainable && has_weights;
        self.trains |= is_trainable && has_weights;
        let is_crop = matches!(read, Some(Layer::RandomCrop(ref crop))
            if !input.shape.starts_with(&[crop.height, crop.width]));
        let number = self.outputs.len();
        if is_crop && (self.uses[number] == 0 || self.resizings[number] < self.uses[number]) {
            arguments.note("Keras leaves images as they are in inference; here they are resized");
        }
        self.notes.append(&mut arguments.notes);
        self.operations
            .extend(is_operation.then_some(self.listed.len()));
        self.listed.push(ListedLayer {
            group: layer.group.clone(),
            rank: self.listed.len(),
            index: read.is_some().then_some(self.layers.len()),
            is_trainable,
        });
        let Some(read) = read else {
            let mut output = input.clone();
            output.is_cropped &= layer.class != "Resizing";
            self.outputs.push(output);
            return Ok(());
        };
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.shape[..]).collect();
        let shape = read.spec().merged_shape(&shapes);
        let shape = shape.and_then(|shape| indexable(&shape).map(|()| shape));
        let shape = shape.map_err(|problem| arguments.error(problem))?;
        let mut placed = PlacedLayer::from(read);
        placed.trainable = !is_frozen;
        let index = self.layers.len();
        let from = inputs.iter().map(|input| input.layer).collect();
        self.layers.push((placed, from));
        self.outputs.push(KerasOutput {
            layer: Some(index),
            shape,
            is_cropped: is_crop || inputs.iter().any(|input| input.is_cropped),
        });
        Ok(())
    }

    /// What the flattening makes of images that are the vectors which the model takes.
    fn flat(&mut self, images: &KerasOutput, vectors: Vectors) -> KerasOutput {
        let index = match self.flattened.get(&images.layer) {
            Some(index) => *index,
            None => {
                let name = match vectors {
                    Vectors::Features => FEATURES.to_owned(),
                    _ => self.flatten_name(),
                };
                let flatten = Flatten::new().name(name);
                self.layers.push((flatten.into(), vec![images.layer]));
                let index = self.layers.len() - 1;
                self.flattened.insert(images.layer, index);
                index
            }
        };
        KerasOutput {
            layer: Some(index),
            shape: vec![images.shape.iter().product()],
            is_cropped: images.is_cropped,
        }
    }

    /// A name for a flattening that no layer has.
    fn flatten_name(&mut self) -> String {
        loop {
            let name = match self.number {
                0 => "flatten".to_owned(),
                number => format!("flatten_{number}"),
            };
            self.number += 1;
            if !self.names.contains(name.as_str()) {
                return name;
            }
        }
    }

    /// Lets the operation whose output a layer takes, if it is a rescaling and no other layer takes it, compute the next
    /// one as well; whether it is one. `(x - 127.5) / 127.5` is two operations, which together say what the inputs are.
    fn rescale_further(&mut self, layer: &KerasLayer<'_>, next: &Rescaling) -> bool {
        let [Some(before)] = layer.from[..] else {
            return false;
        };
        if self.uses[before] != 1 || !self.operations.contains(&before) {
            return false;
        }
        let made = self.outputs[before].layer;
        let last = made.and_then(|index| self.layers.get_mut(index));
        let last = last.map(|(placed, _)| &mut placed.layer);
        let Some(Layer::Rescaling(last)) = last else {
            return false;
        };
        let [a, b] = [last.scale, last.offset].map(f64::from);
        let [c, d] = [next.scale, next.offset].map(f64::from);
        (last.scale, last.offset) = ((a * c) as f32, (b * c + d) as f32);
        true
    }

    /// The layers, as [`Sequential::with_layers`](crate::model::Sequential::with_layers) takes them, how Keras lists
    /// them, and what was assumed or left behind.
    pub(super) fn finish(self) -> (Vec<SourcedLayer>, Vec<ListedLayer>, Vec<String>) {
        (self.layers, self.listed, self.notes)
    }
}

/// Whether a layer is a `Resizing` like that behind a `RandomCrop` with these arguments in files of this crate.
fn resizes(layer: &KerasLayer<'_>, crop: &Map<String, Value>) -> bool {
    let mut sizes = ["height", "width"].iter();
    layer.class == "Resizing"
        && layers::resizes_as_behind(layer.config)
        && sizes.all(|key| layer.config.get(*key) == crop.get(*key))
}

/// Checks that layers of this crate can join these inputs as Keras does.
fn check_join(layer: &KerasLayer<'_>, inputs: &[KerasOutput]) -> Result<(), String> {
    if let Some(constant) = layer.constant() {
        let constant = constant.to_string();
        return Err(format!(
            "it joins a constant with outputs of layers, {}; expected outputs of layers alone",
            constant.chars().take(80).collect::<String>()
        ));
    }
    let [first, others @ ..] = inputs else {
        return Ok(());
    };
    if others.is_empty() {
        return Err("it has 1 input; expected at least two outputs of layers".into());
    }
    let is_sum = layer.class == "Add";
    let kept = |shape: &[usize]| match is_sum {
        true => shape.to_vec(),
        false => [&[shape.len()][..], &shape[..shape.len().saturating_sub(1)]].concat(),
    };
    let other = others
        .iter()
        .find(|other| kept(&other.shape) != kept(&first.shape));
    let Some(other) = other else { return Ok(()) };
    let [a, b] = [first, other].map(|input| dims(&input.shape));
    Err(match is_sum {
        true => format!("it adds outputs of {a} and {b}; Keras broadcasts, expected one shape"),
        false => format!(
            "it concatenates outputs of {a} and {b}; expected shapes that differ only in the last axis"
        ),
    })
}

/// Checks that products of sizes do not overflow; what else is too large is found later.
pub(super) fn indexable(shape: &[usize]) -> Result<(), String> {
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    match count.filter(|&n| n < 1 << 31) {
        Some(_) => Ok(()),
        None => Err(format!(
            "a tensor of {} has more than 2^31 elements",
            dims(shape)
        )),
    }
}
