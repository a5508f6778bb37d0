//! The model that this crate recorded in a file, if the graph still computes the same.

use super::assemble::{ReadableGraph, network};
use super::emit::{WeightedLayer, shortest};
use crate::error::Result;
use crate::interchange::{Import, Network, NetworkDescription, inference_form};
use crate::model::{Layer, Sequential};
use crate::words::counted;

/// The recorded model with the weights of the graph, and notes; or only notes on why it was not
/// taken. Of several candidates, the one with the weights that were written is it.
pub(super) fn restored(
    description: &NetworkDescription,
    candidates: &[ReadableGraph],
) -> (Option<Import>, Vec<String>) {
    let mut changed = None;
    let recorded = match description.model() {
        Ok(recorded) => recorded,
        Err(e) => {
            let e = e.within("not taken: the model in its metadata is invalid");
            return (None, vec![e.to_string()]);
        }
    };
    for candidate in candidates
        .iter()
        .filter(|candidate| computes(&recorded, candidate))
    {
        let Ok(mut import) = network(recorded.clone(), &candidate.layers) else {
            continue;
        };
        let notes = named(&mut import.network, &description.class_names);
        if description.describes(&import.network.state) {
            import.network.state.step = description.step;
            return (Some(import), notes);
        }
        changed = changed.or(Some((import, notes)));
    }
    let Some((import, notes)) = changed else {
        let note =
            "not taken: the model in its metadata, because the graph computes something else";
        return (None, vec![note.into()]);
    };
    let note = "the weights have been changed since this program wrote the file";
    let notes = std::iter::once(note.to_owned()).chain(notes);
    (Some(import), notes.collect())
}

/// Gives the classes their names, or says why not.
pub(super) fn named(network: &mut Network, names: &[String]) -> Vec<String> {
    let outputs: usize = (network.model.output_shape())
        .map(|shape| shape.iter().product())
        .unwrap_or(0);
    let classes = network.model.loss.classes(outputs);
    if names.is_empty() || names.len() == classes {
        network.class_names = names.to_vec();
        return Vec::new();
    }
    vec![format!(
        "not taken: the names of {}, because its output is for {classes}",
        counted(names.len(), "class"),
    )]
}

/// Whether the graph computes what the recorded model does.
fn computes(recorded: &Sequential, candidate: &ReadableGraph) -> bool {
    let same = match (comparable(&candidate.model), comparable(recorded)) {
        (Ok(read), Ok(recorded)) => read == recorded,
        _ => false,
    };
    same && constants_are_left_out(recorded, &candidate.layers)
}

/// The model in the form that graphs can tell: what is written alike is alike.
fn comparable(model: &Sequential) -> Result<Sequential> {
    let mut form = inference_form(model)?;
    let layers = std::mem::take(&mut form.layers);
    let mut flat = false;
    for layer in layers {
        let kept = match layer {
            // A vector stays a vector.
            Layer::Flatten(_) if flat => None,
            Layer::Flatten(_) => {
                flat = true;
                flattened(form.layers.last_mut()).then_some(layer)
            }
            Layer::ZeroPadding2D(l) if l.padding.0 == [[0; 2]; 2] => None,
            Layer::BatchNormalization(mut l) => {
                l.epsilon = shortest(l.epsilon as f32);
                l.scale = true;
                l.center = true;
                Some(l.into())
            }
            other => {
                flat |= is_flat(&other);
                Some(other)
            }
        };
        form.layers.extend(kept);
    }
    Ok(form)
}

fn is_flat(layer: &Layer) -> bool {
    match layer {
        Layer::Dense(_) => true,
        Layer::GlobalAveragePooling2D(l) => !l.0.keepdims,
        Layer::GlobalMaxPooling2D(l) => !l.0.keepdims,
        _ => false,
    }
}

/// Whether a layer for flattening is needed: a pool over the whole image can do it.
fn flattened(before: Option<&mut Layer>) -> bool {
    let pool = match before {
        Some(Layer::GlobalAveragePooling2D(l)) => &mut l.0,
        Some(Layer::GlobalMaxPooling2D(l)) => &mut l.0,
        _ => return true,
    };
    pool.keepdims = false;
    false
}

/// Whether batch normalizations without gamma or beta have ones and zeros there.
fn constants_are_left_out(model: &Sequential, layers: &[WeightedLayer]) -> bool {
    let norms = model.layers.iter().filter_map(|layer| match layer {
        Layer::BatchNormalization(norm) => Some(norm),
        _ => None,
    });
    let is_norm = |layer: &&WeightedLayer| matches!(layer.layer, Layer::BatchNormalization(_));
    norms
        .zip(layers.iter().filter(is_norm))
        .all(|(norm, layer)| {
            let all = |name: &str, value: f32| {
                let given = layer.weights.iter().find(|(given, _)| *given == name);
                given
                    .is_none_or(|(_, numbers)| numbers.array.elements().iter().all(|&v| v == value))
            };
            (norm.scale || all("gamma", 1.0)) && (norm.center || all("beta", 0.0))
        })
}
