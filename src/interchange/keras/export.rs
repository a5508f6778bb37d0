//! Writing.

use serde_json::{Value, json};

use super::hdf5::{self, Variable, Variables};
use super::layers;
use super::names::{GroupNames, allowed_name, allowed_names, free_name};
use super::objects::{float32, object};
use super::substitute::substituted;
use super::{archive, loss, moments, optimizer};
use crate::error::{Error, FormatError, Result};
use crate::interchange::{Export, Network, NetworkDescription};
use crate::model::{ResolvedLayer, Sequential};
use crate::state::{Layout, Parameter, State};

/// The version of Keras whose format this is.
const KERAS_VERSION: &str = "3.15.1";
/// When the file was written: always the same, so that equal networks give equal bytes.
const DATE: &str = "1980-01-01@00:00:00";

/// Writes a network as a `.keras` file, which Keras 3 loads on every backend: the model, its
/// weights and, if the optimizer is known, compiled with it, its moments and the loss, so that
/// training goes on where it stopped.
///
/// A [`SumPooling2D`](crate::model::SumPooling2D) becomes an average pooling and a rescaling. The
/// class names and the model as it is here are in `metadata.json`, whose other entries Keras
/// ignores too. Inputs remain pixels divided by 255. The same network gives the same bytes.
///
/// # Errors
/// A sum pooling with padding, which Keras cannot express, by the layer's name; a state that is not
/// the model's; too little memory.
pub fn to_bytes(network: &Network) -> Result<Export> {
    let state = &network.state;
    if *state.layout != *Layout::new(&network.model)? {
        let problem = "the state's parameters are not those of the model";
        return Err(network.model.error(problem.into()));
    }
    let model = substituted(&network.model)?;
    let mut resolved = model.resolve()?;
    let renamed = rename(&mut resolved);
    let config = config(&model, &resolved, network).to_string();
    let metadata = metadata(network)?.to_string();
    let size = size(network);
    let bytes = archive::write([&config, &metadata], size, |out| {
        let optimizer = network.optimizer.as_ref().map(|optimizer| Variables {
            group: "optimizer".into(),
            variables: moments::write(optimizer, state),
        });
        hdf5::write(variables(&resolved, state), optimizer, out)
    });
    let mut export = Export::new(bytes.map_err(|e: FormatError| Error::Argument(e.to_string()))?);
    export.left_behind.extend(renamed);
    if network.optimizer.is_none() {
        let left = "the loss, because the optimizer is unknown: compile the model in Keras before training it";
        export.left_behind.push(left.into());
    }
    Ok(export)
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

fn config(model: &Sequential, resolved: &[ResolvedLayer<'_>], network: &Network) -> Value {
    let [h, w, c] = model.input_shape;
    let shape = json!([null, h, w, c]);
    let taken = |name: &str| resolved.iter().any(|layer| layer.name == name);
    let input = json!({
        "batch_shape": shape,
        "dtype": "float32",
        "sparse": false,
        "ragged": false,
        "name": free_name("input_layer", taken),
    });
    let mut listed = vec![object(".layers", "InputLayer", input)];
    listed.extend(resolved.iter().map(layers::write));
    let config = json!({
        "name": model_name(model),
        "trainable": true,
        "dtype": float32(),
        "layers": listed,
        "build_input_shape": shape,
    });
    let mut written = object("", "Sequential", config);
    written["build_config"] = json!({ "input_shape": shape });
    if let Some(optimizer) = &network.optimizer {
        written["compile_config"] = json!({
            "optimizer": optimizer::write(optimizer),
            "loss": loss::write(model.loss),
            "loss_weights": null,
            "metrics": ["accuracy"],
            "weighted_metrics": null,
            "run_eagerly": false,
            "steps_per_execution": 1,
        });
    }
    written
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

/// The weights of each layer.
fn variables<'a>(resolved: &'a [ResolvedLayer<'_>], state: &'a State) -> Vec<Variables<'a>> {
    let mut names = GroupNames::default();
    let mut parameters = state.layout.parameters.iter();
    let of_layer = |layer: &'a ResolvedLayer<'_>| {
        let count = layer.layer.spec().parameters(&layer.input).len();
        let own = parameters.by_ref().take(count);
        let floats = |p: &'a Parameter| Variable::Floats(&p.shape, &state.params[p.range()]);
        Variables {
            group: names.next(layers::class(layer.layer)),
            variables: own.map(floats).collect(),
        }
    };
    resolved.iter().map(of_layer).collect()
}
