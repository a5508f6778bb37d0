//! A model, and where Keras stores its weights.

use serde_json::Value;

use super::arguments::Arguments;
use super::config::{Chain, KerasLayer, chain};
use super::layers;
use super::names::{GroupNames, free_name};
use crate::error::{FormatError, Result};
use crate::interchange::pixels::{feed_fractions, square_image, vector_note};
use crate::model::{Flatten, Layer, PlacedLayer, Rescaling, Sequential};
use crate::shape::dims;

/// How Keras lists the layers of a model.
pub(super) struct Blueprint {
    /// The model.
    pub(super) model: Sequential,
    /// Keras's layers, in order.
    pub(super) listed: Vec<ListedLayer>,
    /// What was assumed or left behind, one line each.
    pub(super) notes: Vec<String>,
    /// Whether the last layer was an operation in Keras.
    ends_in_operation: bool,
}

/// A layer as Keras lists it.
pub(super) struct ListedLayer {
    /// The group of its weights.
    group: String,
    /// Its index among the model's layers, unless it was left out.
    index: Option<usize>,
    is_trainable: bool,
}

/// Where Keras stores a parameter.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The group of its layer, such as `conv2d_1`.
    pub(super) group: String,
    /// Its number among the layer's variables.
    pub(super) variable: usize,
    /// Whether the optimizer updates it.
    pub(super) is_trainable: bool,
}

impl Blueprint {
    /// The blueprint of a model that has no layers that Keras lacks.
    pub(super) fn of(model: Sequential) -> Self {
        let mut names = GroupNames::default();
        let numbered = model.layers.iter().enumerate();
        let listed = numbered.map(|(index, layer)| ListedLayer {
            group: names.next(layers::class(layer)),
            index: Some(index),
            is_trainable: true,
        });
        Self {
            listed: listed.collect(),
            model,
            notes: Vec::new(),
            ends_in_operation: false,
        }
    }

    /// Reads Keras's configuration of a model. `is_ours` tells that this crate wrote it, so that
    /// its inputs are pixels divided by 255.
    ///
    /// # Errors
    /// One line: what is not supported, by the name of its layer.
    pub(super) fn read(config: &Value, is_ours: bool) -> Result<Self, FormatError> {
        let chain = chain(config)?;
        let mut notes = Vec::new();
        let input_shape = input_shape(&chain, &mut notes)?;
        indexable(&input_shape)?;
        let mut blueprint = Self {
            model: Sequential::new(input_shape).name(chain.name),
            listed: Vec::with_capacity(chain.layers.len()),
            notes,
            ends_in_operation: false,
        };
        let mut shape = input_shape.to_vec();
        let mut is_vector = chain.input.len() == 1 && !is_reshaped(&chain);
        for layer in &chain.layers {
            if is_vector && !layers::is_pointwise(layer.class) {
                blueprint.flatten(&chain, &mut shape);
                is_vector = false;
            }
            blueprint.push(layer, &mut shape)?;
        }
        if !is_ours {
            blueprint.feed_fractions();
        }
        Ok(blueprint)
    }

    /// Adds the flattening that makes images the vectors which the model takes.
    fn flatten(&mut self, chain: &Chain<'_>, shape: &mut Vec<usize>) {
        let name = free_name("flatten", |name| {
            chain.layers.iter().any(|layer| layer.name == name)
        });
        self.model.layers.push(Flatten::new().name(name).into());
        *shape = vec![shape.iter().product()];
    }

    /// Adds a layer to which inputs of this shape are given.
    fn push(&mut self, layer: &KerasLayer<'_>, shape: &mut Vec<usize>) -> Result<(), FormatError> {
        let mut arguments = Arguments::new(layer.class, &layer.name, layer.config);
        let operation = layers::operation(&arguments, layer.operands());
        let follows = std::mem::replace(&mut self.ends_in_operation, operation.is_some());
        let read = match operation {
            Some(Layer::Rescaling(next)) if follows && self.rescale_further(&next) => None,
            Some(operation) => Some(operation),
            None => layers::read(&mut arguments, shape)?,
        };
        let is_trainable = arguments.is_trainable() && !layer.is_in_frozen_model;
        let has_weights = |layer: &Layer| !layer.spec().parameters(shape).is_empty();
        let is_frozen = !is_trainable && read.as_ref().is_some_and(has_weights);
        self.notes.append(&mut arguments.notes);
        self.listed.push(ListedLayer {
            group: layer.group.clone(),
            index: read.is_some().then_some(self.model.layers.len()),
            is_trainable,
        });
        let Some(read) = read else { return Ok(()) };
        let output = read.spec().output_shape(shape);
        let output = output.and_then(|output| indexable(&output).map(|()| output));
        *shape = output.map_err(|problem| arguments.error(problem))?;
        let mut placed = PlacedLayer::from(read);
        placed.trainable = !is_frozen;
        self.model.layers.push(placed);
        Ok(())
    }

    /// Lets the last layer, if it is a rescaling, compute the next one as well; whether it is one. `(x - 127.5) / 127.5`
    /// is two operations, which together say what the inputs are.
    fn rescale_further(&mut self, next: &Rescaling) -> bool {
        let last = self.model.layers.last_mut().map(|placed| &mut placed.layer);
        let Some(Layer::Rescaling(last)) = last else {
            return false;
        };
        let [a, b] = [last.scale, last.offset].map(f64::from);
        let [c, d] = [next.scale, next.offset].map(f64::from);
        (last.scale, last.offset) = ((a * c) as f32, (b * c + d) as f32);
        true
    }

    /// Makes a model for pixels from 0 to 255 one for pixels divided by 255.
    fn feed_fractions(&mut self) {
        let (note, left_out_first) = feed_fractions(&mut self.model);
        self.notes.push(note);
        for listed in self.listed.iter_mut().filter(|_| left_out_first) {
            listed.index = listed.index.and_then(|index| index.checked_sub(1));
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
                variable,
                is_trainable: listed.is_trainable && p.trainable,
            }));
        }
        Ok(places)
    }
}

/// Checks that products of sizes do not overflow; what else is too large is found later.
fn indexable(shape: &[usize]) -> Result<(), String> {
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    match count.filter(|&n| n < 1 << 31) {
        Some(_) => Ok(()),
        None => Err(format!(
            "a tensor of {} has more than 2^31 elements",
            dims(shape)
        )),
    }
}

/// The height, width and channels of an input. One without channels has one if a `Flatten` hides
/// the difference, one that is reshaped to images has their shape, and a vector is the pixels of a
/// square image.
fn input_shape(chain: &Chain<'_>, notes: &mut Vec<String>) -> Result<[usize; 3], FormatError> {
    if let Ok(shape) = chain.input.as_slice().try_into() {
        return Ok(shape);
    }
    let first = first_layer(chain);
    let reshaped = first.and_then(|layer| layers::reshaped(layer.config, &chain.input));
    // Another height and width would be another image.
    let keeps = |shape: &[usize; 3]| chain.input.len() == 1 || shape[..2] == chain.input;
    if let Some(shape) = reshaped.filter(keeps) {
        let vector = match *chain.input.as_slice() {
            [n] => Some(vector_note(n, shape, false)),
            _ => None,
        };
        notes.extend(vector);
        return Ok(shape);
    }
    let is_flattened = first.is_some_and(|layer| layer.class == "Flatten");
    match *chain.input.as_slice() {
        [h, w] if is_flattened => {
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
            dims(&chain.input)
        )
        .into()),
    }
}

/// The first layer that does not treat each element alike.
fn first_layer<'a>(chain: &'a Chain<'_>) -> Option<&'a KerasLayer<'a>> {
    let mut layers = chain.layers.iter();
    layers.find(|layer| !layers::is_pointwise(layer.class))
}

/// Whether the first layer makes images of inputs.
fn is_reshaped(chain: &Chain<'_>) -> bool {
    let first = first_layer(chain);
    first.is_some_and(|layer| layers::reshaped(layer.config, &chain.input).is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Dense, Flatten, Rescaling};

    fn config(input: Value, layers: &[(&str, Value)]) -> Value {
        let layer = |(i, (class, config)): (usize, &(&str, Value))| {
            let mut config = config.clone();
            config["name"] = format!("layer{i}").into();
            if i == 0 {
                config["batch_shape"] = input.clone();
            }
            json!({"class_name": class, "config": config})
        };
        let layers: Vec<Value> = layers.iter().enumerate().map(layer).collect();
        json!({"class_name": "Sequential", "config": {"name": "net", "layers": layers}})
    }

    fn rescaled(scale: f64, offset: f64) -> (Sequential, Vec<String>, usize) {
        let layers = [
            ("Rescaling", json!({"scale": scale, "offset": offset})),
            ("Flatten", json!({})),
            ("Dense", json!({"units": 2})),
        ];
        let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), false).unwrap();
        let places = read.places().unwrap();
        assert_eq!(places[1], place("dense", 1, true));
        (read.model, read.notes, places.len())
    }

    fn place(group: &str, variable: usize, is_trainable: bool) -> Place {
        Place {
            group: group.into(),
            variable,
            is_trainable,
        }
    }

    #[test]
    fn a_model_for_bytes_becomes_one_for_fractions() {
        for (scale, offset, expected) in [
            (1.0 / 255.0, 0.0, None),
            (1.0 / 255.0, -0.5, Some((1.0, -0.5))),
            (1.0 / 127.5, -1.0, Some((2.0, -1.0))),
        ] {
            let (model, notes, places) = rescaled(scale, offset);
            let first = match &model.layers[0].layer {
                Layer::Rescaling(l) => Some((l.scale, l.offset)),
                _ => None,
            };
            assert_eq!((first, places), (expected, 2));
            assert!(notes[0].contains("pixels from 0 to 255"), "{notes:?}");
        }
        let (model, notes, _) = rescaled(2.0, -1.0);
        assert_eq!(
            model.layers[0],
            Rescaling::new(2.0).offset(-1.0).name("layer0").into()
        );
        assert_eq!(notes, [crate::interchange::Import::ASSUMED_PIXELS]);
    }

    #[test]
    fn frozen_layers_stay_frozen_and_left_out_ones_are_noted() {
        let layers = [
            ("RandomFlip", json!({})),
            ("Flatten", json!({"trainable": false})),
            ("Dense", json!({"units": 3, "trainable": false})),
            ("Dense", json!({"units": 2})),
        ];
        let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true).unwrap();
        let mut expected = Sequential::new([2, 2, 1])
            .name("net")
            .add(Flatten::new().name("layer1"))
            .add(Dense::new(3).name("layer2"))
            .add(Dense::new(2).name("layer3"));
        expected.layers[1].trainable = false;
        assert_eq!(read.model, expected);
        assert_eq!(read.notes.len(), 1, "{:?}", read.notes);
        let places =
            ["dense", "dense_1"].map(|group| [0, 1].map(|i| place(group, i, group != "dense")));
        assert_eq!(read.places().unwrap(), places.as_flattened());
    }

    #[test]
    fn an_image_without_channels_is_read_if_it_is_flattened() {
        let shape = json!([null, 4, 5]);
        let flat = [("Rescaling", json!({"scale": 2})), ("Flatten", json!({}))];
        let read = Blueprint::read(&config(shape.clone(), &flat), true).unwrap();
        assert_eq!(read.model.input_shape, [4, 5, 1]);
        assert!(read.notes[0].contains("4x5x1"), "{:?}", read.notes);
        for (shape, class) in [(shape, "Softmax"), (json!([null, 7]), "Flatten")] {
            let read = Blueprint::read(&config(shape, &[(class, json!({}))]), true);
            let message = read.map(|_| ()).unwrap_err().to_string();
            assert!(message.contains("height x width x channels"), "{message}");
        }
    }

    #[test]
    fn layers_of_a_frozen_model_in_the_model_are_not_trained() {
        for frozen in [false, true] {
            let layers = [
                json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 2, 2, 1]}}),
                json!({"class_name": "BatchNormalization", "config": {"name": "a"}}),
                json!({"class_name": "BatchNormalization", "config": {"name": "b"}}),
            ];
            let inner = json!({"name": "inner", "trainable": !frozen, "layers": layers});
            let layers = [
                ("Sequential", inner),
                ("Flatten", json!({})),
                ("Dense", json!({"units": 2})),
            ];
            let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true).unwrap();
            let trained: Vec<bool> = read
                .places()
                .unwrap()
                .iter()
                .map(|p| p.is_trainable)
                .collect();
            let norm = [!frozen, !frozen, false, false];
            assert_eq!(trained, [&norm[..], &norm, &[true, true]].concat());
        }
    }

    #[test]
    fn operations_on_inputs_are_one_rescaling() {
        let call = |class: &str, number: f64, after: &str| {
            json!({
                "class_name": class,
                "name": format!("{class}_of_{after}"),
                "config": {"name": format!("{class}_of_{after}")},
                "inbound_nodes": [{"args": [
                    {"class_name": "__keras_tensor__", "config": {"keras_history": [after, 0, 0]}},
                    number,
                ], "kwargs": {}}],
            })
        };
        let config = json!({"class_name": "Functional", "config": {
            "name": "net",
            "layers": [
                {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
                 "config": {"name": "x", "batch_shape": [null, 2, 2, 1]}},
                call("Subtract", 127.5, "x"),
                call("TrueDivide", 127.5, "Subtract_of_x"),
            ],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["TrueDivide_of_Subtract_of_x", 0, 0]],
        }});
        let read = Blueprint::read(&config, false).unwrap();
        let first = read.model.layers.first().map(|placed| &placed.layer);
        let Some(Layer::Rescaling(found)) = first else {
            panic!("{:?}", read.model);
        };
        assert_eq!(
            (read.model.layers.len(), found.scale, found.offset),
            (1, 2.0, -1.0)
        );
        assert!(
            read.notes[0].starts_with("the model divides pixels"),
            "{:?}",
            read.notes
        );
    }

    #[test]
    fn sizes_that_overflow_are_refused() {
        let huge = 1_u64 << 40;
        let flat = [("Flatten", json!({}))];
        let wide = [("Flatten", json!({})), ("Dense", json!({"units": huge}))];
        for (shape, layers) in [
            (json!([null, huge, huge, huge]), &flat[..]),
            (json!([null, 2, 2, 1]), &wide),
        ] {
            let read = Blueprint::read(&config(shape, layers), true);
            let message = read.map(|_| ()).unwrap_err().to_string();
            assert!(message.contains("more than 2^31 elements"), "{message}");
        }
    }

    #[test]
    fn a_layer_that_does_not_fit_its_input_is_named() {
        let layers = [("Dense", json!({"units": 2}))];
        let read = Blueprint::read(&config(json!([null, 2, 2, 1]), &layers), true);
        let message = read.map(|_| ()).unwrap_err().to_string();
        assert!(
            message.starts_with("layer `layer0` (Dense): expected a flat input"),
            "{message}"
        );
    }
}
