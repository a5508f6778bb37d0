//! The part of a graph that leads to its output.

use std::collections::{HashMap, HashSet};

use super::super::messages::{
    GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
};
use super::node::NodeRef;
use super::tensor::type_name;
use crate::error::FormatError;
use crate::words::counted;

/// The oldest version of the operators that is read, of 2016. Newer ones differ in what is checked.
const OLDEST: i64 = 6;
/// The newest version that is known.
const NEWEST: i64 = 28;
/// `TensorProto.DataType`
const FLOAT: i32 = 1;
/// How many names a note lists.
const LISTED: usize = 5;

/// A graph with one input and one output.
pub(super) struct LiveGraph<'a> {
    /// The nodes that lead to the output, in the order of the file.
    pub nodes: Vec<&'a NodeProto>,
    /// The version of the operators.
    pub opset: i64,
    pub input: &'a str,
    /// The sizes of the input's axes; those that are not fixed are `None`.
    pub input_dims: Vec<Option<usize>>,
    pub output: &'a str,
    pub tensors: HashMap<&'a str, &'a TensorProto>,
    /// What the graph holds but the output does not need.
    pub notes: Vec<String>,
}

impl<'a> LiveGraph<'a> {
    /// The graph of a model.
    ///
    /// # Errors
    /// There is none, or it has another number of inputs or outputs.
    pub fn new(model: &'a ModelProto) -> Result<Self, FormatError> {
        let graph = (model.graph.as_ref()).ok_or(
            "is not an ONNX model: it has no graph; expected a file that a framework exported",
        )?;
        let opset = opset(&model.opset_import)?;
        if let Some(sparse) = graph.sparse_initializer.first() {
            let name = sparse.values.as_ref().map_or("", |t| t.name());
            return Err(format!(
                "tensor `{name}` is sparse; export the network with dense weights"
            )
            .into());
        }
        let output = (graph.output.first())
            .ok_or("its graph has no output")?
            .name();
        let nodes = live(graph, output)?;
        let tensors: HashMap<&str, &TensorProto> =
            graph.initializer.iter().map(|t| (t.name(), t)).collect();
        let input = input(graph, &nodes, &tensors, output)?;
        let mut notes = notes(graph, &nodes, opset);
        notes.extend(log_note(&nodes, output, opset));
        Ok(Self {
            nodes,
            opset,
            input: input.name(),
            input_dims: input_dims(input)?,
            output,
            tensors,
            notes,
        })
    }
}

/// The version of ONNX's own operators.
///
/// # Errors
/// It is missing or too old.
pub(super) fn opset(imported: &[OperatorSetIdProto]) -> Result<i64, FormatError> {
    let own = |domain: &str| ["", "ai.onnx"].contains(&domain);
    let version = (imported.iter())
        .find(|set| own(set.domain()))
        .and_then(|set| set.version);
    match version {
        Some(version) if version >= OLDEST => Ok(version),
        Some(version) => Err(format!(
            "follows opset {version} of ONNX's operators; expected {OLDEST} or newer, as exporters write them"
        )
        .into()),
        None => Err("does not say which opset of ONNX's operators it follows; the file is damaged".into()),
    }
}

/// The nodes that lead to a value, in their order.
fn live<'a>(graph: &'a GraphProto, output: &'a str) -> Result<Vec<&'a NodeProto>, FormatError> {
    let mut makers: HashMap<&str, usize> = HashMap::new();
    for (i, node) in graph.node.iter().enumerate() {
        for name in node.output.iter().filter(|name| !name.is_empty()) {
            if makers.insert(name, i).is_some() {
                return Err(
                    format!("two nodes make the value `{name}`; the file is damaged").into(),
                );
            }
        }
    }
    let mut live = vec![false; graph.node.len()];
    let mut wanted = vec![output];
    while let Some(name) = wanted.pop() {
        let maker = makers.get(name).copied();
        let Some((node, mark)) = maker.and_then(|i| graph.node.get(i).zip(live.get_mut(i))) else {
            continue;
        };
        if !std::mem::replace(mark, true) {
            wanted.extend(node.input.iter().map(String::as_str));
        }
    }
    let nodes = graph.node.iter().zip(live).filter(|&(_, live)| live);
    Ok(nodes.map(|(node, _)| node).collect())
}

/// The only input that is needed and is not a weight.
fn input<'a>(
    graph: &'a GraphProto,
    nodes: &[&'a NodeProto],
    tensors: &HashMap<&str, &TensorProto>,
    output: &str,
) -> Result<&'a ValueInfoProto, FormatError> {
    let read: HashSet<&str> = (nodes.iter())
        .flat_map(|node| node.input.iter().map(String::as_str))
        .chain([output])
        .collect();
    let is_input =
        |info: &&ValueInfoProto| !tensors.contains_key(info.name()) && read.contains(info.name());
    let inputs: Vec<&ValueInfoProto> = graph.input.iter().filter(is_input).collect();
    match inputs.as_slice() {
        [input] => Ok(input),
        inputs => Err(format!(
            "expected one input, of images, found {}{}",
            inputs.len(),
            listed(inputs.iter().map(|input| input.name()))
        )
        .into()),
    }
}

fn input_dims(input: &ValueInfoProto) -> Result<Vec<Option<usize>>, FormatError> {
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let shape = tensor.and_then(|tensor| Some((tensor, tensor.shape.as_ref()?)));
    let Some((tensor, shape)) = shape else {
        return Err(format!(
            "its input `{}` has no shape; export it with one",
            input.name()
        )
        .into());
    };
    if tensor.elem_type() != FLOAT {
        return Err(format!(
            "its input `{}`: expected float32, found {}; export the network in float32",
            input.name(),
            type_name(tensor.elem_type())
        )
        .into());
    }
    let size = |size: Option<i64>| usize::try_from(size?).ok().filter(|&n| n > 0);
    Ok(shape.dim.iter().map(|dim| size(dim.dim_value)).collect())
}

/// What the graph holds but the output does not need.
fn notes(graph: &GraphProto, nodes: &[&NodeProto], opset: i64) -> Vec<String> {
    let read: HashSet<&str> = (nodes.iter())
        .flat_map(|node| node.input.iter().map(String::as_str))
        .collect();
    let names = graph.initializer.iter().map(|tensor| tensor.name());
    let unused: Vec<&str> = names.filter(|name| !read.contains(name)).collect();
    let tensors = (!unused.is_empty()).then(|| {
        let tensors = counted(unused.len(), "tensor");
        let names = listed(unused.into_iter());
        format!("not taken: {tensors} that no layer reads{names}")
    });
    let outputs = (graph.output.len() > 1).then(|| {
        let names = listed(graph.output.iter().skip(1).map(|o| o.name()));
        format!("not taken: all outputs but the first{names}")
    });
    let dead = graph.node.len() - nodes.len();
    let dead = (dead > 0).then(|| {
        let nodes = counted(dead, "node");
        format!("not taken: {nodes} without effect on the output")
    });
    let newer = (opset > NEWEST)
        .then(|| format!("follows opset {opset}; operators newer than opset {NEWEST} may differ"));
    let all = [tensors, outputs, dead, newer];
    all.into_iter().flatten().collect()
}

/// A note if the output is the logarithm of probabilities, which are taken in its place.
fn log_note(nodes: &[&NodeProto], output: &str, opset: i64) -> Option<String> {
    let makes = |node: &&&NodeProto| node.output.first().is_some_and(|name| name == output);
    let last = nodes.iter().find(makes)?;
    let label = NodeRef { proto: last, opset }.label();
    (last.op_type() == "LogSoftmax").then(|| {
        format!(
            "{label}: the logarithm was left out, so that the outputs are probabilities; their cross-entropy is \
             the NLLLoss of their logarithms"
        )
    })
}

/// The first few names, after a colon.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let first: Vec<String> = (names.by_ref().take(LISTED))
        .map(|name| format!("`{name}`"))
        .collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    match first.is_empty() {
        true => String::new(),
        false => format!(" ({}{more})", first.join(", ")),
    }
}
