//! Keras's configuration of a model as a chain of layers.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::arguments::size;
use super::names::GroupNames;
use crate::error::FormatError;
use crate::words::counted;

/// A layer as Keras describes it.
pub(super) struct KerasLayer<'a> {
    /// Its class, such as `Conv2D`.
    pub(super) class: &'a str,
    /// Its name, without `/`.
    pub(super) name: String,
    /// Its arguments.
    pub(super) config: &'a Map<String, Value>,
    /// The group of its weights: `conv2d_1`, or `sequential/layers/conv2d` in a model in the model.
    pub(super) group: String,
    /// The names of the models in the model that it is in, from the outermost on, each with `_` behind it.
    models: String,
    /// Whether it belongs to a model in the model that is frozen as a whole, whatever it is itself.
    pub(super) is_in_frozen_model: bool,
    /// All that describes it.
    described: &'a Value,
}

impl KerasLayer<'_> {
    /// What an operation such as `x / 255` computes with: the layer before it, and numbers.
    pub(super) fn operands(&self) -> &[Value] {
        let operands = self.described.pointer("/inbound_nodes/0/args");
        operands
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }
}

/// Whether a layer is a model of layers.
fn is_model(class: &str) -> bool {
    ["Sequential", "Functional", "Model"].contains(&class)
}

/// A model whose layers follow each other.
pub(super) struct Chain<'a> {
    /// The model's name.
    pub(super) name: &'a str,
    /// The shape of an input, without the batch.
    pub(super) input: Vec<usize>,
    /// The layers, without the one that only declares the input.
    pub(super) layers: Vec<KerasLayer<'a>>,
}

/// Reads a model's configuration.
///
/// # Errors
/// One line: not a model that is a chain, or its input's shape is unknown.
pub(super) fn chain(model: &Value) -> Result<Chain<'_>, FormatError> {
    let config = model.get("config").unwrap_or(&Value::Null);
    let mut layers = flat(model, ["", ""], None)?;
    tell_apart(&mut layers);
    let input = input(&layers, [config, model])?;
    let name = config.get("name").and_then(Value::as_str);
    Ok(Chain {
        name: name.unwrap_or("sequential"),
        input,
        layers: (layers.into_iter())
            .filter(|layer| layer.class != "InputLayer")
            .collect(),
    })
}

/// The layers of a model, with those of models in it in their place. `group` is before the names of
/// the groups of their weights, `models` before their own. `is_frozen` tells whether the model in the model is, of which this is one or a part; in
/// Keras 3 what counts of those within each other is the outermost.
fn flat<'a>(
    model: &'a Value,
    [group, models]: [&str; 2],
    is_frozen: Option<bool>,
) -> Result<Vec<KerasLayer<'a>>, FormatError> {
    let mut names = GroupNames::default();
    let mut flattened = Vec::new();
    for mut layer in listed(model)? {
        if layer.class == "InputLayer" {
            flattened.push(layer);
            continue;
        }
        layer.group = format!("{group}{}", names.next(layer.class));
        layer.models = models.into();
        layer.is_in_frozen_model = is_frozen == Some(true);
        if is_model(layer.class) {
            let own = layer.config.get("trainable") == Some(&Value::Bool(false));
            let within = format!("{}/layers/", layer.group);
            let models = format!("{models}{}_", layer.name);
            let is_frozen = is_frozen.or(Some(own));
            flattened.extend(flat(layer.described, [&within, &models], is_frozen)?);
        } else {
            flattened.push(layer);
        }
    }
    Ok(flattened)
}

/// Gives each layer of a model in the model whose name is taken another: `features_conv` after the model, as Keras
/// names its weights `features/conv/kernel`, and with a number if that is taken too.
fn tell_apart(layers: &mut [KerasLayer<'_>]) {
    let named = |layer: &&mut KerasLayer<'_>| layer.class != "InputLayer";
    let is_inner = |layer: &KerasLayer<'_>| layer.group.contains('/');
    // The model's own layers keep theirs; that these differ is checked later.
    let outer = layers.iter().filter(|layer| !is_inner(layer));
    let mut taken: HashSet<String> = outer.map(|layer| layer.name.clone()).collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for layer in layers.iter_mut().filter(named) {
        if !is_inner(layer) || taken.insert(layer.name.clone()) {
            continue;
        }
        let base = format!("{}{}", layer.models, layer.name);
        layer.name.clone_from(&base);
        while !taken.insert(layer.name.clone()) {
            let number = numbers.entry(base.clone()).or_insert(0);
            *number += 1;
            layer.name = format!("{base}_{number}");
        }
    }
}

/// The layers that a model lists, in their order.
fn listed(model: &Value) -> Result<Vec<KerasLayer<'_>>, FormatError> {
    let class = model.get("class_name").and_then(Value::as_str);
    let config = model.get("config").unwrap_or(&Value::Null);
    // The oldest files hold the list alone.
    let listed = config.get("layers").unwrap_or(config);
    let listed = listed.as_array().ok_or("describes no layers")?;
    let layers: Result<Vec<_>, _> = listed.iter().map(layer).collect();
    match class {
        Some("Sequential") => layers,
        Some("Functional" | "Model") => ordered(layers?, config),
        _ => Err(unknown_model(class)),
    }
}

fn unknown_model(class: Option<&str>) -> FormatError {
    format!(
        "its model is of the class {}: expected a Sequential model, or a Functional one that is a chain of layers",
        class.unwrap_or("(none)")
    )
    .into()
}

fn layer(described: &Value) -> Result<KerasLayer<'_>, FormatError> {
    let class = described.get("class_name").and_then(Value::as_str);
    let config = described.get("config").and_then(Value::as_object);
    let (Some(class), Some(config)) = (class, config) else {
        return Err(format!("describes a layer without class_name and config: {described}").into());
    };
    let name = config.get("name").and_then(Value::as_str);
    Ok(KerasLayer {
        class,
        name: name.unwrap_or(class).replace('/', "_"),
        config,
        group: String::new(),
        models: String::new(),
        is_in_frozen_model: false,
        described,
    })
}

/// The shape of an input: of the input layer or of the first layer, or that the model was built
/// for.
fn input(
    layers: &[KerasLayer<'_>],
    [config, model]: [&Value; 2],
) -> Result<Vec<usize>, FormatError> {
    let first = layers.first().map(|layer| layer.config);
    let of_layer = ["batch_shape", "batch_input_shape"];
    let mut of_layer = of_layer.iter().filter_map(|key| first?.get(*key));
    let shape = (of_layer.next())
        .or_else(|| config.get("build_input_shape"))
        .or_else(|| model.pointer("/build_config/input_shape"));
    let shape =
        shape.ok_or("does not say the shape of its inputs: build the model before saving it")?;
    let sizes = shape.as_array().and_then(|shape| shape.get(1..));
    let sizes: Option<Vec<usize>> = sizes.and_then(|sizes| sizes.iter().map(size).collect());
    sizes.ok_or_else(|| {
        format!("its inputs have the shape {shape}: expected a known height, width and number of channels")
            .into()
    })
}

/// The layers of a functional model in the order in which they follow each other.
fn ordered<'a>(
    layers: Vec<KerasLayer<'a>>,
    config: &Value,
) -> Result<Vec<KerasLayer<'a>>, FormatError> {
    let count = layers.len();
    let mut consumers: HashMap<String, Vec<KerasLayer<'a>>> = HashMap::new();
    let mut inputs = Vec::new();
    for layer in layers {
        match source(&layer)? {
            Some(source) => consumers.entry(source).or_default().push(layer),
            None => inputs.push(layer),
        }
    }
    let inputs_found = inputs.len();
    let (Some(first), 1) = (inputs.pop(), inputs_found) else {
        return Err(format!("has {}: expected one", counted(inputs_found, "input")).into());
    };
    let mut chain = vec![first];
    while let Some(next) = chain.last().and_then(|last| consumers.remove(&last.name)) {
        let names: Vec<&str> = next.iter().map(|layer| layer.name.as_str()).collect();
        if names.len() > 1 {
            return Err(branches(&chain, &names));
        }
        chain.extend(next);
    }
    let mut outputs = Vec::new();
    references(
        config.get("output_layers").unwrap_or(&Value::Null),
        &mut outputs,
    );
    let last = chain.last().map(|layer| layer.name.clone());
    if chain.len() != count || outputs.len() > 1 || outputs.first() != last.as_ref() {
        return Err(format!(
            "its layers are no chain that ends with its only output: expected each layer to follow the one before; outputs: {}",
            outputs.join(", ")
        )
        .into());
    }
    Ok(chain)
}

fn branches(chain: &[KerasLayer<'_>], consumers: &[&str]) -> FormatError {
    let name = chain.last().map_or("", |layer| layer.name.as_str());
    format!(
        "layer `{name}`: its output goes to several layers ({}): only chains of layers are supported",
        consumers.join(", ")
    )
    .into()
}

/// The layer whose output a layer of a functional model receives; `None` for an input.
fn source(layer: &KerasLayer<'_>) -> Result<Option<String>, FormatError> {
    let nodes = layer.described.get("inbound_nodes");
    let nodes = nodes
        .and_then(Value::as_array)
        .map_or(&[][..], |nodes| nodes);
    let mut sources = Vec::new();
    nodes.iter().for_each(|node| references(node, &mut sources));
    let problem = match (nodes.len(), sources.len()) {
        (0, _) if layer.class == "InputLayer" => return Ok(None),
        (1, 1) => return Ok(sources.pop()),
        (0, _) => "it has no input",
        (1, _) => "it joins several inputs",
        _ => "it is used several times",
    };
    Err(format!(
        "layer `{}` ({}): {problem}; only chains of layers are supported",
        layer.name, layer.class
    )
    .into())
}

/// Collects the layers that a node refers to: `["conv2d", 0, 0]`, in any version of Keras.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => match &items[..] {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => {
                found.push(name.replace('/', "_"));
            }
            _ => items.iter().for_each(|item| references(item, found)),
        },
        Value::Object(fields) => fields.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn functional(nodes: &[(&str, &str, Value)], outputs: Value) -> Value {
        let layers = nodes.iter().map(|(class, name, inbound)| {
            json!({
                "class_name": class,
                "config": {"name": name, "batch_shape": [null, 4, 5, 2]},
                "inbound_nodes": inbound,
            })
        });
        let layers: Vec<Value> = layers.collect();
        json!({"class_name": "Functional", "config": {"layers": layers, "output_layers": outputs}})
    }

    fn from(name: &str) -> Value {
        let history = json!({"config": {"shape": [null, 4], "keras_history": [name, 0, 0]}});
        json!([{"args": [history], "kwargs": {"training": false}}])
    }

    fn names(model: &Value) -> Result<Vec<String>, String> {
        let chain = chain(model).map_err(|e| e.to_string())?;
        Ok(chain.layers.into_iter().map(|layer| layer.name).collect())
    }

    #[test]
    fn a_functional_model_is_put_in_order() {
        let keras_2 = json!([[["b", 0, 0, {}]]]);
        let model = functional(
            &[
                ("Dense", "c", keras_2),
                ("Flatten", "b", from("a")),
                ("InputLayer", "a", json!([])),
            ],
            json!([["c", 0, 0]]),
        );
        assert_eq!(names(&model).unwrap(), ["b", "c"]);
        assert_eq!(chain(&model).unwrap().input, [4, 5, 2]);
    }

    #[test]
    fn layers_of_models_in_a_model_take_their_place() {
        let layer = |class: &str, config| json!({"class_name": class, "config": config});
        let conv = || layer("Conv2D", json!({"name": "conv"}));
        let features = |name: &str| {
            let listed = [layer("InputLayer", json!({"name": "in"})), conv(), conv()];
            layer("Sequential", json!({"name": name, "layers": listed}))
        };
        let input = layer("InputLayer", json!({"batch_shape": [null, 4, 5, 2]}));
        let listed = [input, conv(), features("a"), features("b")];
        let model = layer("Sequential", json!({ "layers": listed }));
        let chain = chain(&model).unwrap();
        let found = chain.layers.iter();
        let found: Vec<_> = found.map(|l| (l.name.as_str(), l.group.as_str())).collect();
        let expected = [
            ("conv", "conv2d"),
            ("a_conv", "sequential/layers/conv2d"),
            ("a_conv_1", "sequential/layers/conv2d_1"),
            ("b_conv", "sequential_1/layers/conv2d"),
            ("b_conv_1", "sequential_1/layers/conv2d_1"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn layers_of_a_model_in_the_model_give_way_to_later_ones() {
        let layer = |class: &str, config| json!({"class_name": class, "config": config});
        let named = |name: &str| layer("Conv2D", json!({ "name": name }));
        let model = |name: &str, listed: Vec<Value>| {
            layer("Sequential", json!({"name": name, "layers": listed}))
        };
        let inner = model("b", vec![named("conv"), named("other")]);
        let input = layer(
            "InputLayer",
            json!({"name": "conv", "batch_shape": [null, 4, 5, 2]}),
        );
        let listed = vec![
            input,
            model("a", vec![inner]),
            named("conv"),
            named("a_b_conv"),
        ];
        let found = names(&model("outer", listed)).unwrap();
        assert_eq!(found, ["a_b_conv_1", "other", "conv", "a_b_conv"]);
    }

    #[test]
    fn models_that_are_no_chain_are_refused_by_the_name_of_a_layer() {
        let input = ("InputLayer", "a", json!([]));
        let two = json!([{"args": [[["a", 0, 0], ["b", 0, 0]]], "kwargs": {}}]);
        let dense = |name, inbound| ("Dense", name, inbound);
        for (nodes, part) in [
            (
                vec![input.clone(), dense("b", from("a")), dense("c", from("a"))],
                "(b, c)",
            ),
            (
                vec![input.clone(), dense("b", from("a")), ("Add", "c", two)],
                "layer `c` (Add): it joins",
            ),
            (
                vec![input.clone(), dense("c", json!([["a", 0, 0], ["a", 0, 0]]))],
                "several times",
            ),
            (
                vec![input.clone(), dense("b", json!([]))],
                "layer `b` (Dense): it has no input",
            ),
            (
                vec![input.clone(), ("InputLayer", "b", json!([]))],
                "has 2 inputs",
            ),
            (
                vec![input.clone(), dense("b", from("a")), dense("c", from("c"))],
                "no chain",
            ),
            (vec![input, dense("b", from("a"))], "no chain"),
        ] {
            let message = names(&functional(&nodes, json!(["c", 0, 0]))).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn unknown_inputs_and_models_are_refused() {
        let sequential = |layers| json!({"class_name": "Sequential", "config": {"layers": layers}});
        let unknown =
            json!([{"class_name": "InputLayer", "config": {"batch_shape": [null, null, 2]}}]);
        for (model, part) in [
            (sequential(json!([])), "does not say the shape"),
            (sequential(unknown), "[null,null,2]"),
            (sequential(json!([3])), "class_name"),
            (json!({"class_name": "Sequential"}), "no layers"),
            (
                json!({"class_name": "Mine", "config": {"layers": []}}),
                "class Mine",
            ),
        ] {
            let message = names(&model).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
