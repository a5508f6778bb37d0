//! Writes a network for PyTorch.

mod edges;
mod lines;
mod literals;
mod python;
#[cfg(test)]
mod tests;
mod torch_export;
mod variables;

pub use self::torch_export::TorchExport;

use std::borrow::Cow;

use safetensors::{Dtype, View};

use super::arrangement::{SlotContent, TorchLayer, layers};
use super::axes::AxesOrder;
use crate::error::{Error, FormatError, Result};
use crate::interchange::{Network, NetworkDescription};
use crate::state::State;

/// The network as a PyTorch module and its state dict. Equal networks give equal files.
///
/// The module takes images `[n, c, h, w]`, pixels divided by 255, and returns what the model's last
/// layer does: probabilities after a softmax. The weights' metadata entry `cnn_gpu` holds a
/// [`NetworkDescription`], from which this crate restores what only training needs.
///
/// ```
/// use cnn_gpu::interchange::{Network, torch};
/// use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
/// use cnn_gpu::state::{Layout, State};
///
/// let model = Sequential::new([28, 28, 1])
///     .add(Flatten::new())
///     .add(Dense::new(10).activation(Activation::Softmax));
/// let state = State::new(Layout::new(&model)?, 1);
/// let export = torch::export(&Network::new(model, state))?;
/// assert!(export.model_py.contains("self.dense = nn.Linear(784, 10)"));
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
///
/// # Errors
/// An invalid model, or weights that do not fit it.
pub fn export(network: &Network) -> Result<TorchExport> {
    let layers = layers(&network.model)?;
    Ok(TorchExport {
        weights: weights(network, &layers)?,
        model_py: python::module(network, &layers)?,
        left_behind: network.optimizer_left_behind(),
    })
}

/// A tensor of the state dict, whose bytes are made when they are written, so that there are never more than one tensor's.
struct StateTensor<'a> {
    name: String,
    shape: Vec<usize>,
    content: TensorContent<'a>,
}

enum TensorContent<'a> {
    Steps(u64),
    Constant(f32),
    /// Values in this crate's order.
    Values(&'a [f32], AxesOrder),
}

impl View for &StateTensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.content {
            TensorContent::Steps(_) => Dtype::I64,
            TensorContent::Constant(_) | TensorContent::Values(..) => Dtype::F32,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        match self.content {
            TensorContent::Steps(steps) => (steps as i64).to_le_bytes().to_vec(),
            TensorContent::Constant(value) => {
                (value.to_le_bytes()).repeat(self.shape.iter().product())
            }
            TensorContent::Values(values, order) => order.to_torch_bytes(values),
        }
        .into()
    }

    fn data_len(&self) -> usize {
        match self.content {
            TensorContent::Steps(_) => size_of::<i64>(),
            TensorContent::Constant(_) | TensorContent::Values(..) => {
                4 * self.shape.iter().product::<usize>()
            }
        }
    }
}

fn weights(network: &Network, layers: &[TorchLayer<'_>]) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    for layer in layers {
        for slot in layer.slots() {
            tensors.push(StateTensor {
                name: format!("{}.{}", layer.attribute, slot.leaf),
                content: content(&slot.content, &network.state)?,
                shape: slot.shape,
            });
        }
    }
    let description = NetworkDescription::new(network).to_json();
    serialized(&tensors, description).map_err(|e| network.model.error(e.to_string()))
}

fn content<'a>(content: &SlotContent, state: &'a State) -> Result<TensorContent<'a>> {
    Ok(match content {
        SlotContent::Steps => TensorContent::Steps(state.step),
        SlotContent::Constant(value) => TensorContent::Constant(*value),
        SlotContent::Parameter(name, order) => {
            let values = state.parameter(name)?;
            let expected: usize = order.ours.iter().product();
            if values.len() != expected {
                return Err(Error::Argument(format!(
                    "the weights `{name}` do not fit the model: expected {expected} values, \
                     received {}",
                    values.len()
                )));
            }
            TensorContent::Values(values, *order)
        }
    })
}

fn serialized(tensors: &[StateTensor<'_>], description: String) -> Result<Vec<u8>, FormatError> {
    let views = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    // `safetensors.torch` reads any metadata; Hugging Face's programs want this entry.
    let metadata = [
        ("format".to_owned(), "pt".to_owned()),
        (NetworkDescription::KEY.to_owned(), description),
    ];
    let entries = metadata.each_ref().map(|(key, value)| {
        // Texts, which JSON can represent.
        let text = |text: &String| serde_json::to_string(text).unwrap_or_default();
        format!("{}:{}", text(key), text(value))
    });
    let bytes = safetensors::serialize(views, Some(metadata.into()));
    let mut bytes = bytes.map_err(FormatError::from_cause)?;
    put_in_order(&mut bytes, &entries);
    Ok(bytes)
}

/// Puts the two entries of a file's metadata, which come in any order, in this one.
fn put_in_order(bytes: &mut [u8], [first, second]: &[String; 2]) {
    let start = |a: &str, b: &str| format!("{{\"__metadata__\":{{{a},{b}}}");
    let (wanted, other) = (start(first, second), start(second, first));
    // Behind the length of the header.
    let header = bytes.get_mut(8..8 + wanted.len());
    if let Some(header) = header.filter(|header| **header == *other.as_bytes()) {
        header.copy_from_slice(wanted.as_bytes());
    }
}
