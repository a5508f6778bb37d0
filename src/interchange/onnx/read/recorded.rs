//! The model that this crate recorded in a file, if the graph still computes the same.

use super::assemble::{ReadableGraph, network};
use super::emit::WeightedLayer;
use crate::interchange::{Import, NetworkDescription, with_training_details};
use crate::model::{Layer, Sequential};

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
    for candidate in candidates {
        let same = computed(&recorded, candidate);
        let Some(Ok(mut import)) = same.map(|model| network(model, &candidate.layers)) else {
            continue;
        };
        let notes = description.complete(&mut import.network);
        let is_written = !notes
            .iter()
            .any(|note| note == NetworkDescription::CHANGED_WEIGHTS);
        if is_written {
            return (Some(import), notes);
        }
        changed = changed.or(Some((import, notes)));
    }
    match changed {
        Some((import, notes)) => (Some(import), notes),
        None => {
            let note =
                "not taken: the model in its metadata, because the graph computes something else";
            (None, vec![note.into()])
        }
    }
}

/// The recorded model, if the graph computes what it does.
fn computed(recorded: &Sequential, candidate: &ReadableGraph) -> Option<Sequential> {
    let read = with_constants_left_out(candidate, recorded);
    let same = with_training_details(&read, recorded.clone());
    same.ok().flatten()
}

/// The candidate without gammas of ones and betas of zeros that the recorded model does not have:
/// ONNX's batch normalization always has both.
fn with_constants_left_out(candidate: &ReadableGraph, recorded: &Sequential) -> Sequential {
    let mut read = candidate.model.clone();
    let norms = read.layers.iter_mut().zip(&candidate.layers);
    let norms = norms.filter_map(|(placed, weighted)| match &mut placed.layer {
        Layer::BatchNormalization(norm) => Some((norm, weighted)),
        _ => None,
    });
    let recorded = recorded
        .layers
        .iter()
        .filter_map(|placed| match &placed.layer {
            Layer::BatchNormalization(norm) => Some(norm),
            _ => None,
        });
    for ((norm, weighted), recorded) in norms.zip(recorded) {
        norm.scale = recorded.scale || !is_constant(weighted, "gamma", 1.0);
        norm.center = recorded.center || !is_constant(weighted, "beta", 0.0);
    }
    read
}

/// Whether all weights of this name have this value.
fn is_constant(layer: &WeightedLayer, name: &str, value: f32) -> bool {
    let mut weights = layer.weights.iter().filter(|(given, _)| *given == name);
    weights.all(|(_, numbers)| numbers.array.elements().iter().all(|&v| v == value))
}
