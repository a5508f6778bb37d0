//! Writes a network for PyTorch.

mod edges;
mod lines;
mod literals;
mod python;
#[cfg(test)]
mod tests;
mod torch_export;

pub use self::torch_export::TorchExport;

use safetensors::{Dtype, tensor::TensorView};

use super::arrangement::{SlotContent, TorchLayer, layers};
use crate::error::{Error, FormatError, Result};
use crate::interchange::{Network, NetworkDescription};
use crate::run::tensors::le_bytes;
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

/// A tensor of the state dict.
struct StateTensor {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    bytes: Vec<u8>,
}

fn weights(network: &Network, layers: &[TorchLayer<'_>]) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    for layer in layers {
        for slot in layer.slots() {
            let (dtype, bytes) = contents(&slot.content, &network.state)?;
            tensors.push(StateTensor {
                name: format!("{}.{}", layer.attribute, slot.leaf),
                dtype,
                bytes: match slot.content {
                    SlotContent::Constant(_) => bytes.repeat(slot.shape.iter().product()),
                    SlotContent::Parameter(..) | SlotContent::Steps => bytes,
                },
                shape: slot.shape,
            });
        }
    }
    let description = NetworkDescription::new(network).to_json();
    serialized(&tensors, description).map_err(|e| network.model.error(e.to_string()))
}

/// The type and bytes of a tensor, or of one element of a constant one.
fn contents(content: &SlotContent, state: &State) -> Result<(Dtype, Vec<u8>)> {
    Ok(match content {
        SlotContent::Steps => (Dtype::I64, (state.step as i64).to_le_bytes().into()),
        SlotContent::Constant(value) => (Dtype::F32, value.to_le_bytes().into()),
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
            (Dtype::F32, le_bytes(&order.to_torch(values)))
        }
    })
}

fn serialized(tensors: &[StateTensor], description: String) -> Result<Vec<u8>, FormatError> {
    let views: Result<Vec<_>, _> = (tensors.iter())
        .map(|tensor| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes)?;
            Ok((tensor.name.as_str(), view))
        })
        .collect();
    // `safetensors.torch` reads any metadata; Hugging Face's programs want this entry.
    let metadata = [
        ("format".to_owned(), "pt".to_owned()),
        (NetworkDescription::KEY.to_owned(), description),
    ];
    views
        .and_then(|views| safetensors::serialize(views, Some(metadata.into())))
        .map_err(FormatError::from_cause)
}
