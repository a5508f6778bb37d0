//! `.h5` files of Keras 2, which Keras 3 still writes: the model is in attributes, and the weights
//! are below the names of the layers.

use serde_json::Value;

use super::archive::MAX_JSON;
use super::blueprint::Place;
use super::hdf5::WeightsFile;
use super::moments::StoredVariables;
use crate::error::FormatError;
use crate::words::counted;

/// Keras divides long lists into so many attributes at most, as far as this reader goes.
const MOST_PARTS: usize = 1000;

/// A JSON attribute of the file itself; `None` if it is missing.
pub(super) fn json(file: &WeightsFile, name: &str) -> Result<Option<Value>, FormatError> {
    let texts = file.texts("/", name)?.unwrap_or_default();
    let Some(text) = texts.first() else {
        return Ok(None);
    };
    if text.len() as u64 > MAX_JSON {
        return Err(format!("its {name} is longer than 4 MiB").into());
    }
    let value = serde_json::from_str(text).map_err(|e| {
        FormatError::from(format!("its {name} is not valid JSON: {e}")).caused_by(e)
    })?;
    Ok(Some(value))
}

/// The group with the layers: of a model, or of a file of weights alone.
pub(super) fn root(file: &WeightsFile) -> Result<Option<&'static str>, FormatError> {
    for group in ["/model_weights", "/"] {
        if !list(file, group, "layer_names")?.is_empty() {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

/// The layers that have weights, in the file's order, and the names of these weights.
fn stored(file: &WeightsFile, root: &str) -> Result<Vec<(String, Vec<String>)>, FormatError> {
    let mut stored = Vec::new();
    for layer in list(file, root, "layer_names")? {
        let group = format!("{root}/{layer}");
        let names = list(file, &group, "weight_names")?;
        if !names.is_empty() {
            stored.push((layer, names));
        }
    }
    Ok(stored)
}

/// The names of the layers that have weights, in the file's order.
///
/// # Errors
/// A damaged file.
pub(super) fn names(file: &WeightsFile, root: &str) -> Result<Vec<String>, FormatError> {
    let stored = stored(file, root)?.into_iter();
    Ok(stored.map(|(layer, _)| layer).collect())
}

/// The paths of the parameters. Layers correspond in the order of their ranks, not by name, as in Keras.
///
/// # Errors
/// A different number of layers or of weights.
pub(super) fn paths(
    file: &WeightsFile,
    root: &str,
    places: &[Place],
) -> Result<Vec<String>, FormatError> {
    let stored = stored(file, root)?;
    let top = |place: &Place| place.group.split('/').next().map(str::to_owned);
    // Keras's order, and each place in it.
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&index| places[index].rank);
    let places: Vec<Place> = order.iter().map(|&index| places[index].clone()).collect();
    let layers: Vec<&[Place]> = places.chunk_by(|a, b| top(a) == top(b)).collect();
    if layers.len() != stored.len() {
        return Err(format!(
            "holds the weights of {}: expected {}",
            counted(stored.len(), "layer"),
            layers.len()
        )
        .into());
    }
    let mut paths = Vec::with_capacity(places.len());
    for (places, (layer, names)) in layers.into_iter().zip(stored) {
        if places.len() != names.len() {
            let (expected, found) = (places.len(), names.len());
            return Err(format!(
                "layer `{layer}`: expected {expected} tensors of weights, found {found}"
            )
            .into());
        }
        let path = |name: &String| format!("{root}/{layer}/{name}");
        paths.extend(in_order(places, &names).into_iter().map(path));
    }
    let mut paths: Vec<(usize, String)> = order.into_iter().zip(paths).collect();
    paths.sort_by_key(|&(index, _)| index);
    Ok(paths.into_iter().map(|(_, path)| path).collect())
}

/// The name of each parameter of a layer. Those of a model in the model are listed by whether they
/// are trained, and only then by layer.
fn in_order<'a>(places: &[Place], names: &'a [String]) -> Vec<&'a String> {
    let mut listed: Vec<usize> = (0..places.len()).collect();
    listed.sort_by_key(|&i| places.get(i).is_some_and(|place| !place.is_trainable));
    let mut named: Vec<(usize, &String)> = listed.into_iter().zip(names).collect();
    named.sort_by_key(|&(place, _)| place);
    named.into_iter().map(|(_, name)| name).collect()
}

/// The optimizer's variables; `None` if there are none.
///
/// # Errors
/// Variables that are not in the order of Keras's current optimizers.
pub(super) fn optimizer(file: &WeightsFile) -> Result<Option<StoredVariables>, FormatError> {
    let group = "/optimizer_weights";
    let mut names = list(file, group, "weight_names")?.into_iter().peekable();
    let Some(step) = names.next() else {
        return Ok(None);
    };
    if !step.contains("iteration") {
        return Err("its state is that of an optimizer before Keras 2.11".into());
    }
    let path = |name: String| format!("{group}/{name}");
    let learning_rate = names.next_if(|name| name.ends_with("learning_rate"));
    Ok(Some(StoredVariables {
        step: path(step),
        learning_rate: learning_rate.map(path),
        moments: names.map(path).collect(),
    }))
}

/// A list in an attribute, or in several: `layer_names0`, `layer_names1`, ...
fn list(file: &WeightsFile, group: &str, name: &str) -> Result<Vec<String>, FormatError> {
    if let Some(list) = file.texts(group, name)? {
        return Ok(list);
    }
    let mut all = Vec::new();
    for part in 0..MOST_PARTS {
        match file.texts(group, &format!("{name}{part}"))? {
            Some(list) => all.extend(list),
            None => break,
        }
    }
    Ok(all)
}
