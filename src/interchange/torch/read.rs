//! Reads the weights of a network that PyTorch trained.

mod archive;
mod assignment;
mod assumptions;
mod file;
mod natural;
mod pickle;
mod state_dict;
mod tensor;
#[cfg(test)]
mod tests;
mod walk;

use std::path::Path;

use self::assignment::{Assigned, assign};
use self::assumptions::{assumptions, check_order};
use self::file::{contents, weights_limit};
use self::state_dict::StateDict;
use super::arrangement::{Slot, SlotContent, TorchLayer, layers};
use crate::error::{FormatError, Result};
use crate::interchange::{Import, Match, Network, NetworkDescription};
use crate::model::Sequential;
use crate::state::{Layout, State, check_memory};
use crate::words::{one_line, short};

/// Reads the weights for `model` from a state dict: a `.pt` or `.pth` file (PyTorch 0.1.10 and
/// later; a state dict, a dictionary with one as its entry `state_dict` or similar, or a whole
/// module), or safetensors. No code in the file is run.
///
/// A state dict holds no layers, so that its tensors are matched with the model's: by their names if
/// they are those that [`export`](super::export) writes, otherwise layer by layer, in the order of
/// the file, by their shapes. Safetensors files are sorted by name; there, layers of equal shapes
/// must be numbered. [`Import::matches`] lists the result.
///
/// # Errors
/// One line: a file that cannot be read or holds something else, the first tensor or layer without
/// a counterpart, an ambiguous order, or tensors that are not float32.
pub fn read(path: &Path, model: &Sequential) -> Result<Import> {
    let layers = layers(model)?;
    let layout = Layout::new(model)?;
    let read = contents(path, weights_limit(&layers));
    let import = read.and_then(|contents| {
        let state_dict = contents.state_dict()?;
        import(&state_dict, model, &layers, layout)
    });
    import.map_err(|e| e.at(path))
}

/// Like [`read`], from the contents of a safetensors file.
///
/// # Errors
/// Those of [`read`], or an invalid model.
pub fn from_safetensors(bytes: &[u8], model: &Sequential) -> Result<Import, FormatError> {
    let layers = layers(model).map_err(FormatError::from_cause)?;
    let layout = Layout::new(model).map_err(FormatError::from_cause)?;
    import(&StateDict::of_safetensors(bytes)?, model, &layers, layout)
}

/// What this crate recorded in a safetensors file that it wrote, including the model; `None` for
/// all other files.
///
/// # Errors
/// The file cannot be read, or the record is invalid.
pub fn description(path: &Path) -> Result<Option<NetworkDescription>> {
    file::description(path).map_err(|e| e.at(path))
}

fn import(
    state_dict: &StateDict<'_>,
    model: &Sequential,
    layers: &[TorchLayer<'_>],
    layout: std::sync::Arc<Layout>,
) -> Result<Import, FormatError> {
    let with_tensors: Vec<(&TorchLayer<'_>, Vec<Slot>)> = (layers.iter())
        .map(|layer| (layer, layer.slots()))
        .filter(|(_, slots)| !slots.is_empty())
        .collect();
    if state_dict.description.is_none() {
        check_order(layers)?;
    }
    let assigned = assign(state_dict, &with_tensors)?;
    check_memory("parameters", layout.len).map_err(FormatError::from_cause)?;
    let mut state = State {
        params: vec![0.0; layout.len],
        m: Vec::new(),
        v: Vec::new(),
        average: Vec::new(),
        step: 0,
        layout,
    };
    let mut matches = Vec::new();
    for tensor in &assigned {
        matches.extend(take(tensor, &mut state)?);
    }
    let mut notes = state_dict.notes.clone();
    let mut network = Network::new(model.clone(), state);
    notes.extend(match &state_dict.description {
        None => assumptions(model, layers),
        Some(description) => description.complete(&mut network),
    });
    Ok(Import {
        network,
        matches,
        notes,
    })
}

/// Takes the values of a tensor.
fn take(assigned: &Assigned<'_, '_>, state: &mut State) -> Result<Option<Match>, FormatError> {
    let (tensor, slot) = (assigned.tensor, assigned.slot);
    match &slot.content {
        SlotContent::Steps => Ok(None),
        SlotContent::Constant(value) => {
            let values = tensor.floats()?;
            let Some(other) = values.iter().find(|found| *found != value) else {
                return Ok(None);
            };
            Err(format!(
                "`{}` contains {}, but layer `{}` of the model has no such parameter, which means {}; \
                 set its scale and center",
                tensor.name,
                short(*other),
                assigned.layer,
                short(*value)
            )
            .into())
        }
        SlotContent::Parameter(name, order) => {
            let range = (state.layout.find(name))
                .map(|i| state.layout.parameters[i].range())
                .ok_or_else(|| format!("the model has no parameter `{name}`"))?;
            order.restore(&tensor.floats()?, &mut state.params[range]);
            let shape = tensor.shape.clone();
            Ok(Some(Match::new(
                one_line(&tensor.name),
                shape,
                name.as_str(),
            )))
        }
    }
}
