//! Which layer of a file is which layer of the model.
//!
//! The layers of both have tensors of certain shapes. Each layer of the model takes the layer of the
//! file that has the name which this crate writes for it, and fits. Those without one take the first
//! unused layer of the file that fits. That is right if both have the same order. If not, it is still
//! right where only one layer fits, and where the names of those that fit differ only in numbers, in
//! the same order.

use std::collections::HashSet;

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
    for (with_slots, at) in model.iter().zip(chosen) {
        let (layer, slots) = with_slots;
        let Some(pairs) = layers.get(at).and_then(|found| fit(slots, found)) else {
            return Err(misfit(with_slots, layers.get(at)));
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
    let named: Vec<Option<usize>> = model.iter().map(|layer| namesake(file, layer)).collect();
    let taken: HashSet<usize> = named.iter().copied().flatten().collect();
    let mut unused: Vec<usize> = (0..file.len()).filter(|at| !taken.contains(at)).collect();
    let mut chosen = Vec::with_capacity(model.len());
    let mut unnamed = Vec::new();
    let mut missing = None;
    for (layer, named) in model.iter().zip(named) {
        let fits = |&at: &usize| fit(&layer.1, &file[at]).is_some();
        let fitting = named.or_else(|| Some(unused.remove(unused.iter().position(fits)?)));
        if let (Some(at), None) = (fitting, named) {
            unnamed.push((layer, &file[at], at));
        }
        match fitting {
            Some(at) => chosen.push(at),
            None => missing = missing.or(Some(layer)),
        }
    }
    let left = unused.first().map(|&at| &file[at]);
    match (missing, left) {
        (Some(layer), left) => return Err(misfit(layer, left)),
        (None, Some(left)) => return Err(surplus(left, unused.len() - 1)),
        (None, None) => {}
    }
    check_told_apart(&unnamed, is_ordered)?;
    Ok(chosen)
}

/// The place of the layer of the file that has the name which this crate writes, if it fits.
fn namesake(file: &[FileLayer<'_>], (layer, slots): &WithSlots<'_>) -> Option<usize> {
    let is_it =
        |found: &FileLayer<'_>| found.name == layer.attribute && fit(slots, found).is_some();
    file.iter().position(is_it)
}

/// A layer of the model, the layer of the file that it took, and the place of that.
type ChosenLayer<'a, 'f> = (&'a WithSlots<'a>, &'a FileLayer<'f>, usize);

/// Checks that any two layers that could be exchanged are numbered, or in an order that their numbers
/// do not contradict.
fn check_told_apart(chosen: &[ChosenLayer<'_, '_>], is_ordered: bool) -> Result<(), FormatError> {
    let is_in_order = is_ordered && chosen.is_sorted_by_key(|(.., at)| *at);
    for (i, ((layer, slots), found, _)) in chosen.iter().enumerate() {
        for ((other_layer, other_slots), other, _) in &chosen[i + 1..] {
            let order = differ_in_numbers(found.name, other.name)
                .then(|| compare(found.name, other.name).is_lt());
            let is_told = order.unwrap_or(is_in_order);
            if is_told || fit(slots, other).is_none() || fit(other_slots, found).is_none() {
                continue;
            }
            let hint = match is_ordered {
                true => "name them in the model as in the file",
                false => "save a .pt file, which keeps the order",
            };
            return Err(format!(
                "`{}` and `{}` both fit the layers `{}` and `{}`; rename them so that only numbers \
                 differ, such as conv1 and conv2, or {hint}",
                found.name, other.name, layer.resolved.name, other_layer.resolved.name
            )
            .into());
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
fn misfit((layer, slots): &WithSlots<'_>, found: Option<&FileLayer<'_>>) -> FormatError {
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
