//! Which layer of a file is which layer of the model.
//!
//! The layers of both have tensors of certain shapes. If the names in the file are not those that
//! this crate writes, each layer of the model takes the first unused layer of the file that fits.
//! That is right if both have the same order. If not, it is still right where only one layer fits,
//! and where the names of those that fit differ only in numbers, in the same order.

use super::natural::{compare, differ_in_numbers};
use super::state_dict::{LEAVES, StateDict};
use super::tensor::TorchTensor;
use crate::error::FormatError;
use crate::interchange::torch::arrangement::{Slot, SlotContent, TorchLayer};
use crate::shape::dims;
use crate::words::counted;

/// A tensor and what it is in the model.
pub(super) struct Assigned<'m, 'f> {
    /// The name of the layer.
    pub layer: &'m str,
    /// The layer's tensor.
    pub slot: &'m Slot,
    /// The file's.
    pub tensor: &'f TorchTensor<'f>,
}

/// A layer of the model that has tensors, and these.
type WithSlots<'m> = (&'m TorchLayer<'m>, Vec<Slot>);

/// A layer of the file.
struct FileLayer<'f> {
    name: &'f str,
    tensors: Vec<&'f TorchTensor<'f>>,
}

/// Assigns every tensor of the file.
///
/// # Errors
/// The first layer without a counterpart, layers that cannot be told apart, or tensors that are not
/// float32.
pub(super) fn assign<'m, 'f>(
    file: &'f StateDict<'f>,
    model: &'m [WithSlots<'m>],
) -> Result<Vec<Assigned<'m, 'f>>, FormatError> {
    let learnt = |tensor: &&TorchTensor<'_>| {
        LEAVES.contains(&tensor.leaf()) && tensor.leaf() != "num_batches_tracked"
    };
    file.tensors
        .iter()
        .filter(learnt)
        .try_for_each(TorchTensor::check_type)?;
    let layers = file_layers(file)?;
    let chosen = match by_name(&layers, model) {
        Some(chosen) => chosen,
        None => by_shape(&layers, model, file.is_ordered)?,
    };
    let mut assigned = Vec::new();
    for ((layer, slots), at) in model.iter().zip(chosen) {
        let Some(pairs) = layers.get(at).and_then(|found| fit(slots, found)) else {
            return Err(misfit(&(layer, slots), layers.get(at)));
        };
        assigned.extend(pairs.into_iter().map(|(slot, tensor)| Assigned {
            layer: &layer.resolved.name,
            slot,
            tensor,
        }));
    }
    Ok(assigned)
}

/// The layers in the order of their first tensors.
fn file_layers<'f>(file: &'f StateDict<'f>) -> Result<Vec<FileLayer<'f>>, FormatError> {
    let mut layers: Vec<FileLayer<'f>> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for tensor in &file.tensors {
        let at = *places.entry(tensor.module()).or_insert(layers.len());
        match layers.get_mut(at) {
            Some(layer) => layer.tensors.push(tensor),
            None => layers.push(FileLayer {
                name: tensor.module(),
                tensors: vec![tensor],
            }),
        }
    }
    Ok(layers)
}

/// The place of each layer of the model in the file, if all names are those that this crate writes.
fn by_name(file: &[FileLayer<'_>], model: &[WithSlots<'_>]) -> Option<Vec<usize>> {
    let place =
        |(layer, _): &WithSlots<'_>| file.iter().position(|found| found.name == layer.attribute);
    (file.len() == model.len()).then(|| model.iter().map(place).collect())?
}

fn by_shape(
    file: &[FileLayer<'_>],
    model: &[WithSlots<'_>],
    is_ordered: bool,
) -> Result<Vec<usize>, FormatError> {
    const MANY: usize = 10_000;
    if file.len() > MANY {
        return Err(format!(
            "has tensors of {}, but the model has {} with weights",
            counted(file.len(), "layer"),
            model.len()
        )
        .into());
    }
    let mut unused: Vec<usize> = (0..file.len()).collect();
    let mut chosen = Vec::with_capacity(model.len());
    let mut missing = None;
    for (layer, slots) in model {
        let fitting = unused
            .iter()
            .position(|&at| fit(slots, &file[at]).is_some());
        match fitting {
            Some(place) => chosen.push(unused.remove(place)),
            None => missing = missing.or(Some((*layer, slots))),
        }
    }
    let left = unused.first().map(|&at| &file[at]);
    match (missing, left) {
        (Some(layer), left) => return Err(misfit(&layer, left)),
        (None, Some(left)) => return Err(surplus(left, unused.len() - 1)),
        (None, None) => {}
    }
    let is_in_order = chosen.iter().copied().eq(0..file.len());
    if !(is_ordered && is_in_order) {
        check_told_apart(file, model, &chosen, is_ordered)?;
    }
    Ok(chosen)
}

/// Checks that any two layers that could be exchanged are numbered.
fn check_told_apart(
    file: &[FileLayer<'_>],
    model: &[WithSlots<'_>],
    chosen: &[usize],
    is_ordered: bool,
) -> Result<(), FormatError> {
    let pairs: Vec<_> = model
        .iter()
        .zip(chosen.iter().map(|&at| &file[at]))
        .collect();
    for (i, ((layer, slots), found)) in pairs.iter().enumerate() {
        for ((other_layer, other_slots), other) in &pairs[i + 1..] {
            let numbered = || {
                differ_in_numbers(found.name, other.name) && compare(found.name, other.name).is_lt()
            };
            let alike = fit(slots, other).is_some() && fit(other_slots, found).is_some();
            if alike && !numbered() {
                let hint = match is_ordered {
                    true => "define them in the model's order",
                    false => "save a .pt file, which keeps the order",
                };
                return Err(format!(
                    "`{}` and `{}` both fit the layers `{}` and `{}`; rename them so that only \
                     numbers differ, such as conv1 and conv2, or {hint}",
                    found.name, other.name, layer.resolved.name, other_layer.resolved.name
                )
                .into());
            }
        }
    }
    Ok(())
}

/// A layer's tensors with those of the file, if they fit exactly.
fn fit<'m, 'f>(
    slots: &'m [Slot],
    found: &FileLayer<'f>,
) -> Option<Vec<(&'m Slot, &'f TorchTensor<'f>)>> {
    let mut pairs = Vec::with_capacity(slots.len());
    for slot in slots {
        let tensor = found
            .tensors
            .iter()
            .find(|tensor| tensor.leaf() == slot.leaf);
        match (tensor, &slot.content) {
            (None, SlotContent::Parameter(..)) => return None,
            (None, SlotContent::Constant(_) | SlotContent::Steps) => {}
            (Some(tensor), SlotContent::Steps) => pairs.push((slot, *tensor)),
            (Some(tensor), _) if tensor.shape == slot.shape => pairs.push((slot, *tensor)),
            (Some(_), _) => return None,
        }
    }
    (pairs.len() == found.tensors.len()).then_some(pairs)
}

/// The error for a layer of the model that none of the file fits, and the first that is left over.
fn misfit(
    (layer, slots): &(&TorchLayer<'_>, &Vec<Slot>),
    found: Option<&FileLayer<'_>>,
) -> FormatError {
    let name = &layer.resolved.name;
    let needed = (slots.iter())
        .filter(|slot| slot.content != SlotContent::Steps)
        .map(|slot| format!("{} {}", slot.leaf, dims(&slot.shape)));
    let needed = needed.collect::<Vec<_>>().join(", ");
    let Some(found) = found else {
        return format!("lacks tensors for layer `{name}` of the model: expected {needed}").into();
    };
    match only_difference(slots, found) {
        Some((slot, tensor)) => format!(
            "`{}`: expected {} for layer `{name}` of the model, found {}",
            tensor.name,
            dims(&slot.shape),
            dims(&tensor.shape)
        ),
        None => {
            let tensors = (found.tensors.iter())
                .filter(|tensor| tensor.leaf() != "num_batches_tracked")
                .map(|tensor| format!("`{}` {}", tensor.name, dims(&tensor.shape)));
            format!(
                "layer `{name}` of the model: expected {needed}, found {}",
                tensors.take(4).collect::<Vec<_>>().join(", ")
            )
        }
    }
    .into()
}

/// The first tensor of another shape, if there are no other tensors than those of a layer.
fn only_difference<'m, 'f>(
    slots: &'m [Slot],
    found: &FileLayer<'f>,
) -> Option<(&'m Slot, &'f TorchTensor<'f>)> {
    let slot = |tensor: &TorchTensor<'_>| slots.iter().find(|slot| slot.leaf == tensor.leaf());
    let pairs = (found.tensors.iter()).map(|tensor| Some((slot(tensor)?, *tensor)));
    let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    let mut different = pairs
        .into_iter()
        .filter(|(slot, tensor)| slot.shape != tensor.shape);
    different
        .next()
        .filter(|_| slots.len() == found.tensors.len())
}

/// The error for layers of the file that fit no other layer.
fn surplus(found: &FileLayer<'_>, more: usize) -> FormatError {
    let name = found.tensors.first().map_or("", |tensor| &tensor.name);
    let shape = found
        .tensors
        .first()
        .map_or(String::new(), |tensor| dims(&tensor.shape));
    let more = match more {
        0 => String::new(),
        more => format!(" and {} more", counted(more, "layer")),
    };
    format!(
        "no layer of the model is left for `{name}` {shape}{more}; add what is missing to the model, \
         or remove it from the file"
    )
    .into()
}
