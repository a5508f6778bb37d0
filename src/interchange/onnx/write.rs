//! Writes a network as an ONNX model.
//!
//! The graph follows opset 17 in IR version 8, which every runtime of the last years reads. Its
//! images are `[n, c, h, w]`, as ONNX's operators want them: one Transpose at the input, or none.
//! Vectors that come from images are in this order too; the weights that read them are permuted
//! instead. Windows have explicit pads, and what a graph cannot hold is in the metadata.
//!
//! Names are the model's own: a node and its output have the name of the layer, the activation of
//! a layer is `LAYER.relu`, and its weights are `LAYER.kernel`. Layers of several nodes end in the
//! one with the layer's name.

mod activations;
mod attributes;
mod convolutions;
mod edge;
mod graph;
mod layer_writer;
mod layers;
mod norm;
mod pools;
mod sequence;
mod tensors;
#[cfg(test)]
mod tests;

use std::mem::take;

use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, message};

use super::messages::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::error::Result;
use crate::interchange::{Export, Network, NetworkDescription};

/// The numbers of the field of a model's graph, and of a graph's tensors.
const GRAPH: u32 = 7;
const INITIALIZER: u32 = 5;
/// The version of the operators.
const OPSET: i64 = 17;
/// The version of the file format that goes with it.
const IR_VERSION: i64 = 8;
/// No protobuf message can be larger than 2 GiB; this leaves 16 MiB for everything but the weights.
const MAX_WEIGHTS: usize = (1 << 31) - (16 << 20);

/// How a network becomes an ONNX model.
///
/// ```
/// use cnn_gpu::interchange::onnx::Options;
/// assert!(!Options::default().channels_first);
/// assert!(Options::default().channels_first(true).channels_first);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxOptions {
    /// Whether the input is `[batch, channels, height, width]`, as in PyTorch, instead of
    /// `[batch, height, width, channels]`, as in Keras. Default false. Then nothing is transposed.
    pub channels_first: bool,
}

impl OnnxOptions {
    /// Sets whether the input is `[batch, channels, height, width]`.
    pub fn channels_first(mut self, channels_first: bool) -> Self {
        self.channels_first = channels_first;
        self
    }
}

/// The network as an ONNX model: a graph for inference, whose output is that of the last layer.
/// Equal networks give equal bytes.
///
/// The metadata entry `cnn_gpu` holds a [`NetworkDescription`], from which this crate restores what only
/// training needs; `classes` is a JSON list of the class names, if there are any, and
/// `preprocessing` tells how pixels become inputs.
///
/// ```
/// use cnn_gpu::interchange::{Network, onnx};
/// use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};
/// use cnn_gpu::state::{Layout, State};
///
/// let model = Sequential::new([28, 28, 1])
///     .add(Flatten::new())
///     .add(Dense::new(10).activation(Activation::Softmax));
/// let state = State::new(Layout::new(&model)?, 1);
/// let export = onnx::to_bytes(&Network::new(model, state), &onnx::Options::default())?;
/// assert!(export.left_behind.is_empty());
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
///
/// # Errors
/// An invalid model, weights that do not fit it, or more weights than the format can hold.
pub fn to_bytes(network: &Network, options: &OnnxOptions) -> Result<Export> {
    check_size(network)?;
    let graph = sequence::graph(&network.model, &network.state, options.channels_first)?;
    let model = ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some(env!("CARGO_PKG_NAME").into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto {
            domain: Some(String::new()),
            version: Some(OPSET),
        }],
        metadata_props: metadata(network),
        ..ModelProto::default()
    };
    let mut export = Export::new(encoded(model));
    export.left_behind = network.optimizer_left_behind();
    Ok(export)
}

/// The model's bytes, as [`Message::encode_to_vec`] makes them. Each tensor is freed when it is written.
fn encoded(mut model: ModelProto) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(model.encoded_len());
    // Fields are in the order of their numbers: what is behind the graph, and behind the tensors in it.
    let behind = ModelProto {
        opset_import: take(&mut model.opset_import),
        metadata_props: take(&mut model.metadata_props),
        functions: take(&mut model.functions),
        ..ModelProto::default()
    };
    let mut graph = model.graph.take().unwrap_or_default();
    let length = graph.encoded_len();
    let tensors = take(&mut graph.initializer);
    let behind_tensors = GraphProto {
        doc_string: graph.doc_string.take(),
        input: take(&mut graph.input),
        output: take(&mut graph.output),
        value_info: take(&mut graph.value_info),
        sparse_initializer: take(&mut graph.sparse_initializer),
        ..GraphProto::default()
    };
    bytes.extend(model.encode_to_vec());
    encode_key(GRAPH, WireType::LengthDelimited, &mut bytes);
    encode_varint(length as u64, &mut bytes);
    bytes.extend(graph.encode_to_vec());
    for tensor in tensors {
        message::encode(INITIALIZER, &tensor, &mut bytes);
    }
    bytes.extend(behind_tensors.encode_to_vec());
    bytes.extend(behind.encode_to_vec());
    bytes
}

/// Checks, before anything is allocated, that the file can hold the weights.
fn check_size(network: &Network) -> Result<()> {
    let parameters = &network.state.layout.parameters;
    let bytes = 4 * parameters.iter().map(|p| p.len()).sum::<usize>();
    if bytes <= MAX_WEIGHTS {
        return Ok(());
    }
    let gib = bytes as f64 / f64::from(1 << 30);
    Err(network.model.error(format!(
        "its weights take {gib:.1} GiB, but an ONNX file holds at most 2 GiB; \
         keep them as safetensors"
    )))
}

fn metadata(network: &Network) -> Vec<StringStringEntryProto> {
    let description = NetworkDescription::new(network);
    let entry = |key: &str, value: String| StringStringEntryProto {
        key: Some(key.into()),
        value: Some(value),
    };
    let mut entries = vec![
        entry(NetworkDescription::KEY, description.to_json()),
        entry("preprocessing", description.preprocessing),
    ];
    // A list of texts, which JSON can represent.
    let classes = serde_json::to_string(&network.class_names).unwrap_or_default();
    entries.extend((!network.class_names.is_empty()).then(|| entry("classes", classes)));
    entries
}
