//! Keras's configuration of a model as layers that take each other's outputs.

#[cfg(test)]
mod tests;

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
