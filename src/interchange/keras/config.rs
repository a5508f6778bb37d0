//! Keras's configuration of a model as layers that take each other's outputs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Map, Value};

use super::arguments::size;
use super::names::GroupNames;
use crate::error::FormatError;
use crate::model::Sequential;
use crate::words::counted;

/// A layer as Keras describes it.
pub(super) struct KerasLayer<'a> {
    /// Its class, such as `Conv2D`.
    pub(super) class: &'a str,
    /// Its name, without `/`.
    pub(super) name: String,
    /// Its arguments.
    pub(super) config: &'a Map<String, Value>,
    /// The layers whose outputs it takes, by their indices; `None` is the model's input.
    pub(super) from: Vec<Option<usize>>,
    /// The group of its weights: `conv2d_1`, or `sequential/layers/conv2d` in a model in the model.
    pub(super) group: String,
    /// The names of the models in the model that it is in, from the outermost on, each with `_` behind it.
    models: Rc<str>,
    /// Whether it belongs to a model in the model that is frozen as a whole, whatever it is itself.
    pub(super) is_in_frozen_model: bool,
    /// All that describes it.
    described: &'a Value,
}

impl KerasLayer<'_> {
    /// What an operation such as `x / 255` computes with: the layers before it, and numbers.
    pub(super) fn operands(&self) -> &[Value] {
        let operands = self.described.pointer("/inbound_nodes/0/args");
        operands
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// An operand that is neither the output of a layer nor missing, such as a constant; only those of a join count.
    pub(super) fn constant(&self) -> Option<&Value> {
        let named = self.described.pointer("/inbound_nodes/0/kwargs");
        let named = named.and_then(Value::as_object).into_iter().flatten();
        let named = named.map(|(_, value)| value);
        // Others are settings, such as `training`.
        let named = named.filter(|value| value.is_array() || value.is_object());
        self.operands().iter().chain(named).find_map(constant)
    }
}

/// The first operand that is neither the output of a layer nor missing.
fn constant(operand: &Value) -> Option<&Value> {
    match operand {
        Value::Null => None,
        // In older files.
        Value::Array(items) if reference(items).is_some() => None,
        Value::Array(items) => items.iter().find_map(constant),
        other => other
            .pointer("/config/keras_history")
            .is_none()
            .then_some(other),
    }
}

/// Whether a layer is a model of layers.
fn is_model(class: &str) -> bool {
    ["Sequential", "Functional", "Model"].contains(&class)
}

/// A model as Keras describes it.
pub(super) struct KerasGraph<'a> {
    /// The model's name.
    pub(super) name: &'a str,
    /// The shape of an input, without the batch.
    pub(super) input: Vec<usize>,
    /// The layers, without those that only declare an input, each behind those whose outputs it takes; the last one
    /// makes the model's output.
    pub(super) layers: Vec<KerasLayer<'a>>,
}

/// Reads a model's configuration.
///
/// # Errors
/// One line: not a model with one input and one output, or its input's shape is unknown.
pub(super) fn graph(model: &Value) -> Result<KerasGraph<'_>, FormatError> {
    let config = model.get("config").unwrap_or(&Value::Null);
    let mut flat = FlatModel::default();
    let output = flat.extend(model, ("", &"".into()), (None, None))?;
    let FlatModel { mut layers, first } = flat;
    if output != layers.len().checked_sub(1) {
        return Err("its output is not that of its last layer".into());
    }
    tell_apart(&mut layers)?;
    let input = input(first, [config, model])?;
    let name = config.get("name").and_then(Value::as_str);
    Ok(KerasGraph {
        name: name.unwrap_or("sequential"),
        input,
        layers,
    })
}

/// The layers of a model, with those of models in it in their place.
#[derive(Default)]
struct FlatModel<'a> {
    layers: Vec<KerasLayer<'a>>,
    /// The arguments of the first layer, which may be one that declares the input.
    first: Option<&'a Map<String, Value>>,
}

impl<'a> FlatModel<'a> {
    /// Adds the layers of a model that takes the output of layer `input`, and returns which one makes its output. `group` is
    /// before the names of the groups of their weights, `models` before their own. `is_frozen` tells whether the model in
    /// the model is, of which this is one or a part; in Keras 3 what counts of those within each other is the outermost.
    fn extend(
        &mut self,
        model: &'a Value,
        (group, models): (&str, &Rc<str>),
        (input, is_frozen): (Option<usize>, Option<bool>),
    ) -> Result<Option<usize>, FormatError> {
        // The layer that makes the output of each one listed.
        let mut outputs: Vec<Option<usize>> = Vec::new();
        for listed in listed(model)? {
            let from = listed.from.iter();
            let from = from.map(|from| from.map_or(input, |index| outputs[index]));
            let from: Vec<Option<usize>> = from.collect();
            let mut layer = listed.layer;
            if layer.class == "InputLayer" {
                self.first = self.first.or(Some(layer.config));
                outputs.push(input);
                continue;
            }
            layer.group = format!("{group}{}", layer.group);
            layer.models = Rc::clone(models);
            layer.is_in_frozen_model = is_frozen == Some(true);
            if !is_model(layer.class) {
                self.first = self.first.or(Some(layer.config));
                layer.from = from;
                outputs.push(Some(self.layers.len()));
                self.layers.push(layer);
                continue;
            }
            let [from] = from[..] else {
                return Err(problem(&layer, "it joins several inputs"));
            };
            let own = layer.config.get("trainable") == Some(&Value::Bool(false));
            let within = format!("{}/layers/", layer.group);
            let models = format!("{models}{}_", layer.name).into();
            let is_frozen = is_frozen.or(Some(own));
            outputs.push(self.extend(layer.described, (&within, &models), (from, is_frozen))?);
        }
        Ok(outputs.last().copied().unwrap_or(input))
    }
}

/// Gives each layer of a model in the model whose name is taken another: `features_conv` after the model, as Keras
/// names its weights `features/conv/kernel`, and with a number if that is taken too.
///
/// # Errors
/// Such a name would be longer than a layer's can be.
fn tell_apart(layers: &mut [KerasLayer<'_>]) -> Result<(), FormatError> {
    let is_inner = |layer: &KerasLayer<'_>| layer.group.contains('/');
    // The model's own layers keep theirs; that these differ is checked later.
    let outer = layers.iter().filter(|layer| !is_inner(layer));
    let mut taken: HashSet<String> = outer.map(|layer| layer.name.clone()).collect();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for layer in layers {
        if !is_inner(layer) || taken.insert(layer.name.clone()) {
            continue;
        }
        let (len, most) = (
            layer.models.len() + layer.name.len(),
            Sequential::MAX_LAYER_NAME,
        );
        if len > most {
            let start: String = layer.name.chars().take(20).collect();
            return Err(format!(
                "two layers are named {start:?}, and one of them with the names of the models that it is in has {len} \
                 bytes; expected at most {most}"
            )
            .into());
        }
        let base = format!("{}{}", layer.models, layer.name);
        layer.name.clone_from(&base);
        while !taken.insert(layer.name.clone()) {
            let number = numbers.entry(base.clone()).or_insert(0);
            *number += 1;
            layer.name = format!("{base}_{number}");
        }
    }
    Ok(())
}

/// A layer of a model, and the places in the same list of those whose outputs it takes; `None` is the model's input.
struct KerasEntry<'a> {
    layer: KerasLayer<'a>,
    from: Vec<Option<usize>>,
}

/// The layers that a model lists, each behind those whose outputs it takes; the last one makes the model's output.
fn listed(model: &Value) -> Result<Vec<KerasEntry<'_>>, FormatError> {
    let class = model.get("class_name").and_then(Value::as_str);
    let config = model.get("config").unwrap_or(&Value::Null);
    // The oldest files hold the list alone.
    let listed = config.get("layers").unwrap_or(config);
    let listed = listed.as_array().ok_or("describes no layers")?;
    let layers: Result<Vec<_>, _> = listed.iter().map(layer).collect();
    let mut layers = layers?;
    let mut names = GroupNames::default();
    for layer in layers
        .iter_mut()
        .filter(|layer| layer.class != "InputLayer")
    {
        layer.group = names.next(layer.class);
    }
    match class {
        Some("Sequential") => Ok((layers.into_iter().enumerate())
            .map(|(index, layer)| KerasEntry {
                layer,
                from: vec![index.checked_sub(1)],
            })
            .collect()),
        Some("Functional" | "Model") => ordered(layers, config),
        _ => Err(unknown_model(class)),
    }
}

fn unknown_model(class: Option<&str>) -> FormatError {
    format!(
        "its model is of the class {}: expected a Sequential or a Functional model",
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
        from: Vec::new(),
        group: String::new(),
        models: "".into(),
        is_in_frozen_model: false,
        described,
    })
}

/// The shape of an input: of the input layer or of the first layer, or that the model was built
/// for.
fn input(
    first: Option<&Map<String, Value>>,
    [config, model]: [&Value; 2],
) -> Result<Vec<usize>, FormatError> {
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

/// The layers of a functional model, each behind those whose outputs it takes, otherwise as they are listed.
fn ordered<'a>(
    layers: Vec<KerasLayer<'a>>,
    config: &Value,
) -> Result<Vec<KerasEntry<'a>>, FormatError> {
    let names = layers.iter().enumerate();
    let places: HashMap<&str, usize> = names.map(|(i, layer)| (&*layer.name, i)).collect();
    let sources = layers.iter().map(|layer| sources(layer, &places));
    let sources: Vec<Vec<usize>> = sources.collect::<Result<_, _>>()?;
    let inputs = sources.iter().filter(|sources| sources.is_empty()).count();
    if inputs != 1 {
        return Err(format!("has {}: expected one", counted(inputs, "input")).into());
    }
    check_output(&layers, &sources, config)?;
    let order = behind_sources(&sources);
    if order.len() != layers.len() {
        return Err("its layers take each other's outputs in a circle; the file is damaged".into());
    }
    let mut numbers = vec![0; order.len()];
    (order.iter().enumerate()).for_each(|(number, &place)| numbers[place] = number);
    let mut layers: Vec<Option<KerasLayer<'a>>> = layers.into_iter().map(Some).collect();
    let entries = order.into_iter().filter_map(|place| {
        let from = sources[place].iter();
        Some(KerasEntry {
            layer: layers[place].take()?,
            from: from.map(|&source| Some(numbers[source])).collect(),
        })
    });
    Ok(entries.collect())
}

/// Places behind those of their sources, otherwise in their order; those in a circle are left out.
fn behind_sources(sources: &[Vec<usize>]) -> Vec<usize> {
    let mut takers = vec![Vec::new(); sources.len()];
    for (place, sources) in sources.iter().enumerate() {
        for &source in sources {
            takers[source].push(place);
        }
    }
    let mut missing: Vec<usize> = sources.iter().map(Vec::len).collect();
    let ready = (0..sources.len()).filter(|&place| missing[place] == 0);
    let mut ready: BTreeSet<usize> = ready.collect();
    let mut order = Vec::with_capacity(sources.len());
    while let Some(place) = ready.pop_first() {
        order.push(place);
        for &taker in &takers[place] {
            missing[taker] -= 1;
            if missing[taker] == 0 {
                ready.insert(taker);
            }
        }
    }
    order
}

/// Checks that all layers but one are taken by others, and that this one makes the model's only output.
fn check_output(
    layers: &[KerasLayer<'_>],
    sources: &[Vec<usize>],
    config: &Value,
) -> Result<(), FormatError> {
    let mut outputs = Vec::new();
    references(
        config.get("output_layers").unwrap_or(&Value::Null),
        &mut outputs,
    );
    let [output] = &outputs[..] else {
        let (found, names) = (counted(outputs.len(), "output"), outputs.join(", "));
        return Err(format!("has {found} ({names}): expected one").into());
    };
    let taken: HashSet<usize> = sources.iter().flatten().copied().collect();
    let mut ends = layers.iter().enumerate();
    let unused = ends.find(|(place, layer)| taken.contains(place) == (layer.name == *output));
    match unused {
        None => Ok(()),
        Some((_, layer)) if layer.name == *output => Err(problem(
            layer,
            "it makes the model's output, but other layers take it too; expected it to be the last one",
        )),
        Some((_, layer)) => Err(problem(
            layer,
            "its output is not used; expected layers that lead to the model's only output",
        )),
    }
}

/// The places of the layers whose outputs a layer of a functional model takes; none for an input.
fn sources(
    layer: &KerasLayer<'_>,
    places: &HashMap<&str, usize>,
) -> Result<Vec<usize>, FormatError> {
    let nodes = layer.described.get("inbound_nodes");
    let nodes = nodes
        .and_then(Value::as_array)
        .map_or(&[][..], |nodes| nodes);
    let mut names = Vec::new();
    nodes.iter().for_each(|node| references(node, &mut names));
    match (nodes.len(), names.len()) {
        (0, _) if layer.class == "InputLayer" => return Ok(Vec::new()),
        (1, 1..) => {}
        (0 | 1, _) => return Err(problem(layer, "it has no input")),
        _ => return Err(problem(layer, "it is used several times; expected once")),
    }
    let place = |name: &String| {
        let unknown = || {
            problem(
                layer,
                &format!("it takes the output of `{name}`, which the model lacks"),
            )
        };
        places.get(name.as_str()).copied().ok_or_else(unknown)
    };
    names.iter().map(place).collect()
}

fn problem(layer: &KerasLayer<'_>, what: &str) -> FormatError {
    format!("layer `{}` ({}): {what}", layer.name, layer.class).into()
}

/// Collects the layers that a node refers to: `["conv2d", 0, 0]`, in any version of Keras.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => match reference(items) {
            Some(name) => found.push(name.replace('/', "_")),
            None => items.iter().for_each(|item| references(item, found)),
        },
        Value::Object(fields) => fields.values().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The layer that `["conv2d", 0, 0]` refers to.
fn reference(items: &[Value]) -> Option<&str> {
    match items {
        [Value::String(name), Value::Number(_), Value::Number(_), ..] => Some(name),
        _ => None,
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
        let graph = graph(model).map_err(|e| e.to_string())?;
        Ok(graph.layers.into_iter().map(|layer| layer.name).collect())
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
        assert_eq!(graph(&model).unwrap().input, [4, 5, 2]);
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
        let graph = graph(&model).unwrap();
        let found = graph.layers.iter();
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
    fn names_of_models_that_would_be_too_long_are_refused() {
        let conv = json!({"class_name": "Conv2D", "config": {"name": "conv"}});
        let inner = json!({"name": "a".repeat(300), "layers": [conv, conv]});
        let inner = json!({"class_name": "Sequential", "config": inner});
        let input = json!({"class_name": "InputLayer", "config": {"batch_shape": [null, 4, 5, 2]}});
        let config = json!({"layers": [input, inner]});
        let message = names(&json!({"class_name": "Sequential", "config": config})).unwrap_err();
        assert!(
            message.ends_with("has 305 bytes; expected at most 255"),
            "{message}"
        );
    }

    /// The names and sources of a model's layers.
    fn joined(model: &Value) -> Vec<(String, Vec<Option<usize>>)> {
        let layers = graph(model).unwrap().layers.into_iter();
        layers.map(|layer| (layer.name, layer.from)).collect()
    }

    #[test]
    fn layers_that_branch_and_join_come_behind_what_they_take() {
        let both = json!([{"args": [[["b", 0, 0], ["c", 0, 0], ["a", 0, 0]]], "kwargs": {}}]);
        let model = functional(
            &[
                ("Add", "d", both),
                ("Dense", "c", from("a")),
                ("InputLayer", "a", json!([])),
                ("Dense", "b", from("a")),
            ],
            json!([["d", 0, 0]]),
        );
        let expected = [
            ("c".to_owned(), vec![None]),
            ("b".into(), vec![None]),
            ("d".into(), vec![Some(1), Some(0), None]),
        ];
        assert_eq!(joined(&model), expected);
    }

    #[test]
    fn a_model_in_the_model_may_branch_and_take_any_output() {
        let both = json!([{"args": [[["b", 0, 0], ["in", 0, 0]]], "kwargs": {}}]);
        let mut inner = functional(
            &[
                ("InputLayer", "in", json!([])),
                ("Dense", "b", from("in")),
                ("Add", "sum", both),
            ],
            json!(["sum", 0, 0]),
        );
        inner["config"]["name"] = "inner".into();
        inner["inbound_nodes"] = from("a");
        let both = json!([{"args": [[["first", 0, 0], ["inner", 0, 0]]], "kwargs": {}}]);
        let mut model = functional(
            &[
                ("InputLayer", "x", json!([])),
                ("Dense", "first", from("x")),
                ("Dense", "a", from("x")),
                ("Add", "all", both),
            ],
            json!(["all", 0, 0]),
        );
        model["config"]["layers"]
            .as_array_mut()
            .unwrap()
            .insert(3, inner);
        let expected = [
            ("first".to_owned(), vec![None]),
            ("a".into(), vec![None]),
            ("b".into(), vec![Some(1)]),
            ("sum".into(), vec![Some(2), Some(1)]),
            ("all".into(), vec![Some(0), Some(3)]),
        ];
        assert_eq!(joined(&model), expected);
    }

    #[test]
    fn models_with_other_inputs_or_outputs_are_refused_by_the_name_of_a_layer() {
        let input = ("InputLayer", "a", json!([]));
        let dense = |name, inbound| ("Dense", name, inbound);
        let chain = |last| vec![input.clone(), dense("b", from("a")), dense("c", last)];
        let output = json!(["c", 0, 0]);
        for (nodes, output, part) in [
            (
                [chain(from("a")), vec![dense("d", from("c"))]].concat(),
                json!(["d", 0, 0]),
                "layer `b` (Dense): its output is not used",
            ),
            (
                [chain(from("b")), vec![dense("d", from("c"))]].concat(),
                output.clone(),
                "layer `c` (Dense): it makes the model's output, but other layers take it too",
            ),
            (
                chain(json!([["a", 0, 0], ["a", 0, 0]])),
                output.clone(),
                "layer `c` (Dense): it is used several times",
            ),
            (
                vec![input.clone(), dense("b", json!([]))],
                output.clone(),
                "layer `b` (Dense): it has no input",
            ),
            (
                chain(from("d")),
                output.clone(),
                "layer `c` (Dense): it takes the output of `d`, which the model lacks",
            ),
            (
                vec![input.clone(), ("InputLayer", "b", json!([]))],
                output.clone(),
                "has 2 inputs",
            ),
            (
                [
                    chain(from("b")),
                    vec![dense("d", from("e")), dense("e", from("d"))],
                ]
                .concat(),
                output.clone(),
                "in a circle",
            ),
            (chain(from("b")), json!([]), "has 0 outputs"),
            (
                chain(from("b")),
                json!([["b", 0, 0], ["c", 0, 0]]),
                "has 2 outputs (b, c): expected one",
            ),
        ] {
            let message = names(&functional(&nodes, output)).unwrap_err();
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
