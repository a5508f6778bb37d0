//! A network of layers and their weights.

use std::sync::Arc;

use super::emit::WeightedLayer;
use super::value::Floats;
use crate::error::FormatError;
use crate::interchange::{Import, Match, Network};
use crate::model::Sequential;
use crate::state::{Layout, State, check_memory};

/// A graph's layers, if its input is read in a certain way.
pub(super) struct ReadableGraph {
    pub model: Sequential,
    pub layers: Vec<WeightedLayer>,
    /// What exporters merged and what became of it.
    pub notes: Vec<String>,
}

/// The model of these layers, with their names if they are valid ones.
///
/// # Errors
/// Layers that do not fit each other or the images.
pub(super) fn model(
    image: [usize; 3],
    layers: &[WeightedLayer],
) -> Result<Sequential, FormatError> {
    let model = placed(image, layers, |_| None)?;
    model.resolve().map_err(FormatError::from_cause)?;
    let named = placed(image, layers, |weighted| {
        let name = weighted.name.clone().or_else(|| stem(weighted));
        name.filter(|name| is_usable(name))
    });
    Ok(named
        .ok()
        .filter(|named| named.resolve().is_ok())
        .unwrap_or(model))
}

/// The model of these layers, with their names if there are any.
fn placed(
    image: [usize; 3],
    layers: &[WeightedLayer],
    name: impl Fn(&WeightedLayer) -> Option<String>,
) -> Result<Sequential, FormatError> {
    let placed = layers.iter().map(|weighted| {
        let layer = weighted.layer.clone();
        let layer = match name(weighted) {
            Some(name) => layer.named(name),
            None => layer,
        };
        (layer, weighted.from.clone())
    });
    let model = Sequential::new(image).with_layers(placed.collect());
    model.map_err(FormatError::from_cause)
}

/// The layer's name in the name of its first weights: `conv1` in `conv1.weight`.
fn stem(layer: &WeightedLayer) -> Option<String> {
    let (_, numbers) = layer.weights.first()?;
    let name = &numbers.origins.first()?.name;
    let stem = [".weight", ".kernel", ".gamma"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    stem.map(str::to_owned)
}

/// Whether a layer can have this name, and it says more than a number.
fn is_usable(name: &str) -> bool {
    let valid = !name.contains('/') && !name.contains(char::is_control);
    valid && name.len() <= Sequential::MAX_LAYER_NAME && name.contains(char::is_alphabetic)
}

/// The network of a model with the weights of these layers: those that have any, in their order.
///
/// # Errors
/// Weights that do not fit the model.
pub(super) fn network(model: Sequential, layers: &[WeightedLayer]) -> Result<Import, FormatError> {
    let with_weights = layers.iter().filter(|layer| !layer.weights.is_empty());
    let mut weights = with_weights.map(|layer| &layer.weights);
    let layout = Layout::new(&model).map_err(FormatError::from_cause)?;
    check_memory("the weights", layout.len).map_err(FormatError::from_cause)?;
    let mut params = vec![0.0; layout.len];
    let mut matches = Vec::new();
    for layer in model.resolve().map_err(FormatError::from_cause)? {
        let specs = layer.parameters();
        let given = if specs.is_empty() {
            None
        } else {
            weights.next()
        };
        for spec in specs {
            let ours = format!("{}/{}", layer.name, spec.name);
            let found = given
                .into_iter()
                .flatten()
                .find(|(name, _)| *name == spec.name);
            let numbers = found.map(|(_, numbers)| numbers);
            fill(&mut params, &layout, &ours, numbers)?;
            let origins = numbers.into_iter().flat_map(|n| &n.origins);
            matches.extend(origins.map(|o| Match::new(&o.name, o.dims.clone(), &ours)));
        }
    }
    let mut import = Import {
        network: Network::new(model, untrained(layout)),
        matches,
        notes: Vec::new(),
    };
    import.network.state.params = params;
    Ok(import)
}

/// A state without moments.
fn untrained(layout: Arc<Layout>) -> State {
    State {
        m: Vec::new(),
        v: Vec::new(),
        average: Vec::new(),
        params: Vec::new(),
        step: 0,
        layout,
    }
}

fn fill(
    params: &mut [f32],
    layout: &Layout,
    ours: &str,
    numbers: Option<&Floats>,
) -> Result<(), FormatError> {
    let parameter = layout.find(ours).and_then(|i| layout.parameters.get(i));
    let values = numbers.map(|n| &n.array);
    let place = parameter.and_then(|p| params.get_mut(p.range()));
    match (place, values) {
        (Some(place), Some(values)) if place.len() == values.len() => {
            let cannot =
                |e| format!("the weights of `{ours}` cannot be read: {e}; copy the file again");
            values.copy_to(place).map_err(|e| cannot(e).into())
        }
        _ => Err(format!("its weights do not fit the parameter `{ours}`").into()),
    }
}
