//! Reads networks from ONNX models.
//!
//! A graph is read node by node. Constants are folded; the value that depends on the images is
//! followed through transposes and reshapes by what its axes are, so that any order of them can be
//! read; functions of its elements are collected until a layer reads it, and then recognized by
//! their values. What remains is a list of layers, from which this crate's are made.

mod assemble;
mod assumptions;
mod budget;
mod emit;
mod extent;
mod external;
mod factors;
mod functions;
mod graph;
mod image_input;
mod inputs;
mod interpret;
mod link;
mod link_graph;
mod nd_array;
mod node;
mod operators;
mod pieces;
mod placement;
mod reading;
mod recorded;
mod simplify;
mod stored;
mod tensor;
mod terms;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod wire;

use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use prost::Message;
use prost::bytes::Bytes;

use super::messages::ModelProto;
use crate::error::{Error, FormatError, Result};
use crate::interchange::pixels::vector_note;
use crate::interchange::{Import, NetworkDescription};
use crate::memory;
use crate::shape::dims;
use crate::words::one_line;
use assemble::ReadableGraph;
use external::{ExternalFiles, OpenedFile};
use graph::LiveGraph;
use interpret::{GraphTensors, ImageInput};
use link::Link;

const DAMAGED: &str = "is not an ONNX model, or is damaged; copy or export it again";

/// Reads a network from an ONNX model: one that this crate wrote, or one of its layers that another
/// program exported, such as `tf2onnx`, `jax2onnx` or `torch.onnx`. Weights in other files are read
/// if they are in the model's folder or below it. Large tensors are read where they lie, so that a file takes
/// little more memory than the network that it becomes.
///
/// The network computes what the graph computes. Factors and offsets per channel, to which
/// exporters reduce batch normalizations, are merged into weights next to them. What is assumed or
/// left out is in [`Import::notes`].
///
/// # Errors
/// The file cannot be read, is not an ONNX model, or has a node that no layers can compute. The
/// message names the node or tensor.
pub fn read(path: &Path) -> Result<Import> {
    let cannot = |e: std::io::Error| {
        Error::file(path, format!("cannot read the ONNX model: {e}")).caused_by(e)
    };
    let mut file = File::open(path).map_err(cannot)?;
    let size = file.metadata().map_err(cannot)?.len();
    let outline = match wire::outline(&mut file, size) {
        Ok(outline) => outline,
        Err(e) if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&e.kind()) => {
            return Err(FormatError::from(DAMAGED).caused_by(e).at(path));
        }
        Err(e) => return Err(cannot(e)),
    };
    check_memory(outline.len() as u64).map_err(|e| e.at(path))?;
    // The folder of `model.onnx` is the current one.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let files = ExternalFiles::new(Some(folder), Some(OpenedFile::new(file, size)));
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    contents(outline.into(), size, files).map_err(|e| e.at(path))
}

/// As [`read`], from a model's contents; `folder` is where weights in other files are. Without it,
/// a model with such weights is refused.
///
/// # Errors
/// As [`read`].
pub fn from_bytes(bytes: &[u8], folder: Option<&Path>) -> Result<Import, FormatError> {
    let files = ExternalFiles::new(folder, None);
    contents(Bytes::copy_from_slice(bytes), bytes.len(), files)
}

/// As [`from_bytes`], of a file of `size` bytes. Large tensors are read where they lie, when the network takes them.
fn contents(bytes: Bytes, size: usize, files: ExternalFiles) -> Result<Import, FormatError> {
    wire::check(&bytes)?;
    let mut file = ModelProto::decode(bytes).map_err(damaged)?;
    functions::inline(&mut file, size)?;
    let (description, mut notes) = description(&file);
    let (candidates, more) = candidates(&file, files, description.as_ref())?;
    drop(file);
    notes.extend(more);
    let (restored, more) = match &description {
        Some(description) => recorded::restored(description, &candidates),
        None => (None, Vec::new()),
    };
    notes.extend(more);
    let (mut import, more) = match restored {
        Some(import) => (import, Vec::new()),
        None => foreign(candidates, description.as_ref())?,
    };
    notes.extend(more);
    import.notes.splice(..0, notes);
    // They quote names in the file.
    import
        .notes
        .iter_mut()
        .for_each(|note| *note = one_line(note));
    Ok(import)
}

/// Whether an input has one of the names that Keras gives: with its PyTorch backend, networks with
/// channels last are written by PyTorch, too.
fn is_named_by_keras(input: &str) -> bool {
    ["input_layer", "keras_tensor"]
        .iter()
        .any(|name| input.starts_with(name))
}

/// The layers of a file's graph, for each way in which its input can be read, and notes.
fn candidates(
    file: &ModelProto,
    files: ExternalFiles,
    description: Option<&NetworkDescription>,
) -> Result<(Vec<ReadableGraph>, Vec<String>), FormatError> {
    let graph = LiveGraph::new(file)?;
    let mut tensors = GraphTensors::new(files);
    let recorded = description.and_then(|d| Some(d.model().ok()?.input_shape));
    let is_torch = file.producer_name() == "pytorch" && !is_named_by_keras(graph.input);
    let readable = image_input::readable(&graph, &mut tensors, (recorded, is_torch))?;
    let vectors = match (graph.input_dims.as_slice(), readable.first()) {
        (&[_, Some(pixels)], Some((input, links))) => {
            let is_assumed = links.first().is_some_and(|link| link.kind.is_flatten());
            Some(vector_note(pixels, input.image, is_assumed))
        }
        _ => None,
    };
    let notes = graph.notes.into_iter().chain(vectors);
    let read = readable
        .into_iter()
        .map(|(input, links)| candidate(input, links));
    let read = read.collect::<Result<_, _>>()?;
    tensors.check()?;
    Ok((read, notes.collect()))
}

/// The error of the decoder, without its own words, which name the wire types of protobuf.
fn damaged(error: prost::DecodeError) -> FormatError {
    let message = match error.to_string().contains("recursion") {
        true => {
            "nests messages deeper than the recursion limit; expected a model that a framework exported"
        }
        false => DAMAGED,
    };
    FormatError::from(message).caused_by(error)
}

/// Checks that there is memory for a graph of this size, decoded, and for the weights in it; for those that are left in
/// files, it is checked before the network is made.
fn check_memory(size: u64) -> Result<(), FormatError> {
    // Looking up what is available takes longer than reading a small file.
    if size < 64 << 20 {
        return Ok(());
    }
    memory::check("the ONNX model", size.saturating_mul(3)).map_err(FormatError::from_cause)
}

/// What this crate recorded in the file, or a note that it cannot be used.
fn description(model: &ModelProto) -> (Option<NetworkDescription>, Vec<String>) {
    let entry = model
        .metadata_props
        .iter()
        .find(|e| e.key() == NetworkDescription::KEY);
    match entry.map(|entry| NetworkDescription::from_json(entry.value())) {
        None => (None, Vec::new()),
        Some(Ok(description)) => (Some(description), Vec::new()),
        Some(Err(e)) => (None, vec![format!("not taken: {e}")]),
    }
}

/// The layers and their weights, if the input is read in one of the ways in which it can be.
fn candidate(input: ImageInput, links: Vec<Link>) -> Result<ReadableGraph, FormatError> {
    let (links, notes) = simplify::simplified(links);
    let layers = emit::layers(&links)?;
    let model = assemble::model(input.image, &layers)?;
    Ok(ReadableGraph {
        model,
        layers,
        notes,
    })
}

/// The network of a file of another program, or of one that was changed: the likeliest candidate.
fn foreign(
    candidates: Vec<ReadableGraph>,
    description: Option<&NetworkDescription>,
) -> Result<(Import, Vec<String>), FormatError> {
    let both = candidates.len() > 1;
    let likeliest = candidates.into_iter().next();
    let ReadableGraph {
        model,
        layers,
        mut notes,
    } = likeliest.ok_or("its graph has no layers")?;
    if both {
        let image = dims(&model.input_shape);
        notes.push(format!(
            "assumed: images of {image} (height, width, channels)"
        ));
    }
    let (model, assumed) = assumptions::made(model, description.is_some());
    notes.extend(assumed);
    let mut import = assemble::network(model, &layers)?;
    notes.extend(description.and_then(|d| d.name_classes(&mut import.network)));
    Ok((import, notes))
}
