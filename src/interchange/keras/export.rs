//! Writing.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::hdf5::{self, Variable, Variables};
use super::layers;
use super::names::{GroupNames, allowed_name, allowed_names, free_name};
use super::objects::{float32, object};
use super::order::{keras_order, parameter_order};
use super::substitute::substituted;
use super::{archive, initializer, inputs, loss, moments, optimizer};
use crate::error::{Error, FormatError, Result};
use crate::interchange::{Export, Network, NetworkDescription};
use crate::model::{Layer, ResolvedLayer, Sequential};
use crate::state::{Layout, Parameter, State};

/// The version of Keras whose format this is.
const KERAS_VERSION: &str = "3.15.1";
/// When the file was written: always the same, so that equal networks give equal bytes.
const DATE: &str = "1980-01-01@00:00:00";

/// Writes a network as a `.keras` file, which Keras 3 loads on every backend: the model, its
/// weights and, if the optimizer is known, compiled with it, its moments and the loss, so that
/// training goes on where it stopped.
///
/// A network with skip connections is a functional model, any other a `Sequential`. A
/// [`SumPooling2D`](crate::model::SumPooling2D) becomes an average pooling and a rescaling. The
/// class names and the model as it is here are in `metadata.json`, whose other entries Keras
/// ignores too. Inputs remain pixels divided by 255, of the shape [`Network::input_shape`]. The same network gives
/// the same bytes.
///
/// # Errors
/// A sum pooling with padding, which Keras cannot express, or augmentation that Keras would list behind a layer that is
/// trained, which a layer of another branch can be; both by the layer's name; a state or an input shape that is not
/// the model's; too little memory.
pub fn to_bytes(network: &Network) -> Result<Export> {
    let state = &network.state;
    if *state.layout != *Layout::new(&network.model)? {
        let problem = "the state's parameters are not those of the model";
        return Err(network.model.error(problem.into()));
    }
    let model = substituted(&network.model)?;
    model.check()?;
    let mut resolved = model.resolve()?;
    let input = inputs::restore(&mut resolved, &model, network.input_shape.as_deref())?;
    let renamed = rename(&mut resolved);
    let order = keras_order(&resolved);
    check_augmentation(&resolved, &order)?;
    let parameters = parameter_order(&resolved, &order);
    let config = config((&model, &input), (&resolved, &order), network).to_string();
    let metadata = metadata(network)?.to_string();
    let size = size(network);
    let bytes = archive::write([&config, &metadata], size, |out| {
        let optimizer = network.optimizer.as_ref().map(|optimizer| Variables {
            group: "optimizer".into(),
            variables: moments::write(optimizer, state, &parameters),
        });
        let layers = variables((&resolved, &order), &parameters, state);
        hdf5::write(layers, optimizer, out)
    });
    let mut export = Export::new(bytes.map_err(|e: FormatError| Error::Argument(e.to_string()))?);
    export.left_behind.extend(renamed);
    export
        .left_behind
        .extend(initializer::left_behind(&resolved));
    export
        .left_behind
        .extend(learning_rate_factors(&network.model)?);
    if network.optimizer.is_none() {
        let left = "the loss, because the optimizer is unknown: compile the model in Keras before training it";
        export.left_behind.push(left.into());
    }
    Ok(export)
}

/// Checks that augmentation comes before all layers that are trained in Keras's order too, as models need it here.
fn check_augmentation(resolved: &[ResolvedLayer<'_>], order: &[usize]) -> Result<()> {
    let mut layers = order.iter().map(|&index| &resolved[index]);
    let trained = layers.find(|layer| layer.trainable_count() > 0);
    match (
        trained,
        layers.find(|layer| layer.layer.is_image_augmentation()),
    ) {
        (Some(trained), Some(layer)) => Err(Error::layer(
            &layer.name,
            format!(
                "Keras lists it behind `{}`, which is trained and on a longer branch, and such a file could not be read \
                 back; put the {} before the branches",
                trained.name,
                layer.layer.spec().kind()
            ),
        )),
        _ => Ok(()),
    }
}

/// The layers whose learning rate has a factor, in one line: Keras has no such thing.
fn learning_rate_factors(model: &Sequential) -> Result<Option<String>> {
    let resolved = model.resolve()?;
    let has_factor = |layer: &&ResolvedLayer<'_>| {
        let mut parameters = layer.parameters().into_iter();
        parameters.any(|parameter| parameter.trainable && parameter.learning_rate_factor != 1.0)
    };
    let names = resolved.iter().filter(has_factor);
    let names: Vec<String> = names.map(|layer| format!("`{}`", layer.name)).collect();
    Ok((!names.is_empty()).then(|| {
        format!(
            "factors of the learning rate, which Keras lacks, of {}: there they train at the same rate as all others",
            names.join(", ")
        )
    }))
}

/// Gives the layers names that Keras allows, and says which ones changed.
fn rename(resolved: &mut [ResolvedLayer<'_>]) -> Option<String> {
    let allowed = allowed_names(resolved.iter().map(|layer| layer.name.as_str()));
    let mut changed = Vec::new();
    for (layer, name) in resolved.iter_mut().zip(allowed) {
        if layer.name != name {
            changed.push(format!("`{}` is `{name}`", layer.name));
            layer.name = name;
        }
    }
    let said = || format!("names that Keras does not allow: {}", changed.join(", "));
    (!changed.is_empty()).then(said)
}

/// About how many bytes the weights and the optimizer's state take.
fn size(network: &Network) -> u64 {
    let arenas = 1 + network.optimizer.map_or(0, |optimizer| {
        2 + usize::from(optimizer.ema_momentum.is_some())
    });
    let parameters = &network.state.layout.parameters;
    let floats: usize = parameters.iter().map(Parameter::len).sum();
    // Each tensor and its group take less than 1 KiB to describe.
    ((floats * 4 + parameters.len() * 1024) * arenas + (1 << 16)) as u64
}

fn config(
    (model, input): (&Sequential, &[usize]),
    (resolved, order): (&[ResolvedLayer<'_>], &[usize]),
    network: &Network,
) -> Value {
    let shape = layers::batch(input);
    let taken = |name: &str| resolved.iter().any(|layer| layer.name == name);
    let input = json!({
        "batch_shape": shape,
        "dtype": "float32",
        "sparse": false,
        "ragged": false,
        "name": free_name("input_layer", taken),
    });
    let input = object(".layers", "InputLayer", input);
    let mut numbered = resolved.iter().enumerate();
    let mut written = match numbered.all(|(index, layer)| layer.follows(index)) {
        true => sequential(model, input, resolved),
        false => functional(model, input, (resolved, order)),
    };
    written["build_config"] = json!({ "input_shape": shape });
    if let Some(optimizer) = &network.optimizer {
        written["compile_config"] = json!({
            "optimizer": optimizer::write(optimizer),
            "loss": loss::write(model.loss, network.one_hot_labels),
            "loss_weights": null,
            "metrics": ["accuracy"],
            "weighted_metrics": null,
            "run_eagerly": false,
            "steps_per_execution": 1,
        });
    }
    written
}

/// A model whose layers follow each other.
fn sequential(model: &Sequential, input: Value, resolved: &[ResolvedLayer<'_>]) -> Value {
    let shape = input["config"]["batch_shape"].clone();
    let layers = resolved.iter().zip(resizings(resolved));
    let written = layers.flat_map(|(layer, resizing)| [Some(layers::write(layer)), resizing]);
    let listed = std::iter::once(input).chain(written.flatten());
    let config = json!({
        "name": model_name(model),
        "trainable": true,
        "dtype": float32(),
        "layers": listed.collect::<Vec<_>>(),
        "build_input_shape": shape,
    });
    object("", "Sequential", config)
}

/// What is written behind each layer.
fn resizings(resolved: &[ResolvedLayer<'_>]) -> Vec<Option<Value>> {
    let mut names: HashSet<String> = resolved.iter().map(|layer| layer.name.clone()).collect();
    let written = resolved.iter().map(|layer| {
        let written = layers::behind(layer, |name| names.contains(name));
        names.extend(written.as_ref().and_then(name_of).map(str::to_owned));
        written
    });
    written.collect()
}

/// The name of a layer that is written.
fn name_of(written: &Value) -> Option<&str> {
    written["config"]["name"].as_str()
}

/// A model whose layers name their inputs, in Keras's order.
fn functional(
    model: &Sequential,
    mut input: Value,
    (resolved, order): (&[ResolvedLayer<'_>], &[usize]),
) -> Value {
    let shape = input["config"]["batch_shape"].clone();
    let input_name = input["config"]["name"].clone();
    let resizings = resizings(resolved);
    // The layer that makes the output of one of the model's.
    let maker = |index: usize| {
        let resizing = resizings[index].as_ref().and_then(name_of);
        resizing.unwrap_or(&resolved[index].name)
    };
    let tensor = |source: &Option<usize>| match *source {
        Some(index) => keras_tensor(maker(index).into(), layers::batch(&resolved[index].output)),
        None => keras_tensor(input_name.clone(), shape.clone()),
    };
    input["name"] = input_name.clone();
    input["inbound_nodes"] = json!([]);
    let mut listed = vec![input];
    for &index in order {
        let layer = &resolved[index];
        let mut written = layers::write(layer);
        let tensors: Vec<Value> = layer.from.iter().map(tensor).collect();
        let arguments = match layer.layer {
            Layer::Add(_) | Layer::Concatenate(_) => {
                let shapes = tensors.iter().map(|tensor| &tensor["config"]["shape"]);
                let shapes: Vec<&Value> = shapes.collect();
                written["build_config"] = json!({ "input_shape": shapes });
                json!([tensors])
            }
            _ => json!(tensors),
        };
        written["name"] = layer.name.as_str().into();
        written["inbound_nodes"] = json!([{"args": arguments, "kwargs": {}}]);
        listed.push(written);
        if let Some(mut behind) = resizings[index].clone() {
            let made = keras_tensor(layer.name.as_str().into(), layers::batch(&layer.output));
            behind["name"] = behind["config"]["name"].clone();
            behind["inbound_nodes"] = json!([{"args": [made], "kwargs": {}}]);
            listed.push(behind);
        }
    }
    let output = resolved.len().checked_sub(1).map_or("", maker);
    let config = json!({
        "name": model_name(model),
        "trainable": true,
        "layers": listed,
        "input_layers": [input_name, 0, 0],
        "output_layers": [output, 0, 0],
    });
    let mut written = object(".src.models.functional", "Functional", config);
    written["registered_name"] = "Functional".into();
    written
}

/// The output of a layer of this name.
fn keras_tensor(name: Value, shape: Value) -> Value {
    let config = json!({"shape": shape, "dtype": "float32", "keras_history": [name, 0, 0]});
    json!({"class_name": "__keras_tensor__", "config": config})
}

/// The model's name, as Keras allows it.
fn model_name(model: &Sequential) -> String {
    let name = allowed_name(&model.name);
    // TensorFlow wants a letter or a digit first.
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        true => name,
        false => format!("model{name}"),
    }
}

fn metadata(network: &Network) -> Result<Value> {
    let description = NetworkDescription::new(network).to_json();
    let description: Value = serde_json::from_str(&description)
        .map_err(|e| Error::Argument(format!("the network cannot be described: {e}")))?;
    let mut metadata = json!({"keras_version": KERAS_VERSION, "date_saved": DATE});
    metadata[NetworkDescription::KEY] = description;
    Ok(metadata)
}

/// The weights of each layer, given with the order of layers and of parameters.
fn variables<'a>(
    (resolved, order): (&'a [ResolvedLayer<'_>], &[usize]),
    parameters: &[usize],
    state: &'a State,
) -> Vec<Variables<'a>> {
    let mut names = GroupNames::default();
    let mut parameters = parameters.iter().map(|&i| &state.layout.parameters[i]);
    let of_layer = |layer: &'a ResolvedLayer<'_>| {
        let count = layer.layer.spec().parameters(&layer.input).len();
        let own = parameters.by_ref().take(count);
        let floats = |p: &'a Parameter| Variable::Floats(&p.shape, &state.params[p.range()]);
        Variables {
            group: names.next(layers::class(layer.layer)),
            variables: own.map(floats).collect(),
        }
    };
    let layers = order.iter().filter_map(|&index| resolved.get(index));
    layers.map(of_layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Add, Conv2D, Flatten, RandomCrop, RandomFlip};

    #[test]
    fn augmentation_of_a_shorter_branch_is_refused_by_its_name() {
        let conv = |name: &str| Conv2D::new(1, 1).name(name);
        let joined = |model: Sequential| model.add_from(["short", "long"], Add::new());
        let model = joined(
            Sequential::new([4, 4, 1])
                .add(RandomFlip::new().name("flip"))
                .add(conv("short"))
                .add_from("input", conv("first"))
                .add(conv("second"))
                .add(conv("long")),
        );
        let export = |model: Sequential| {
            let state = State::new(Layout::new(&model).unwrap(), 1);
            to_bytes(&Network::new(model, state))
        };
        let message = export(model).map(|_| ()).unwrap_err().to_string();
        let expected = "layer `flip`: Keras lists it behind `first`";
        assert!(message.starts_with(expected), "{message}");
        let model = joined(
            Sequential::new([4, 4, 1])
                .add(RandomFlip::new().name("flip"))
                .add(conv("short"))
                .add_from("flip", conv("long")),
        );
        assert!(export(model).is_ok());
    }

    #[test]
    fn the_resizing_behind_a_crop_has_its_own_name_and_makes_the_output() {
        let model = Sequential::new([4, 4, 1])
            .add(Flatten::new().name("crop_resizing"))
            .add_from("input", RandomCrop::new(2, 2).name("crop"));
        let resolved = model.resolve().unwrap();
        let input = json!({"config": {"name": "x", "batch_shape": [null, 4, 4, 1]}});
        let written = functional(&model, input, (&resolved, &[0, 1]));
        let listed = written["config"]["layers"].as_array().unwrap();
        let names: Vec<_> = listed.iter().filter_map(name_of).collect();
        assert_eq!(names, ["x", "crop_resizing", "crop", "crop_resizing_1"]);
        assert_eq!(written["config"]["output_layers"][0], "crop_resizing_1");
    }
}
