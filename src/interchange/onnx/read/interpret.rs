//! Reads a graph node by node.

use std::collections::HashMap;

use super::extent::are_in_order;
use super::external::ExternalFiles;
use super::graph::LiveGraph;
use super::inputs::Inputs;
use super::link::Link;
use super::link_graph::LinkGraph;
use super::node::NodeRef;
use super::operators;
use super::reading::GraphReading;
use super::tensor::decode;
use super::value::{Flow, GraphValue};
use super::view::{AxisView, ImagePlaces};
use crate::error::FormatError;

/// The tensors of a file, which are decoded when they are first read.
pub(super) struct GraphTensors<'a> {
    files: ExternalFiles,
    decoded: HashMap<&'a str, GraphValue>,
}

impl<'a> GraphTensors<'a> {
    /// No tensors so far, some of them in other files.
    pub fn new(files: ExternalFiles) -> Self {
        Self {
            files,
            decoded: HashMap::new(),
        }
    }

    /// Checks that all tensors could be read whose elements were wanted.
    ///
    /// # Errors
    /// One could not.
    pub fn check(&self) -> Result<(), FormatError> {
        self.files.check()
    }

    fn get(
        &mut self,
        graph: &LiveGraph<'a>,
        name: &str,
    ) -> Result<Option<GraphValue>, FormatError> {
        let Some((&name, tensor)) = graph.tensors.get_key_value(name) else {
            return Ok(None);
        };
        if let Some(value) = self.decoded.get(name) {
            return Ok(Some(value.clone()));
        }
        let stored = self.files.find(tensor)?;
        let value = decode(tensor, stored)?;
        self.decoded.insert(name, value.clone());
        Ok(Some(value))
    }
}

/// The images that a graph takes, and where their axes are in its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ImageInput {
    pub places: ImagePlaces,
    pub batch: Option<usize>,
    /// `[h, w, c]`
    pub image: [usize; 3],
}

/// The layers of a graph, if its input is read like this.
///
/// # Errors
/// The number of nodes that could be read, and what is wrong with the next one.
pub(super) fn interpret<'a>(
    graph: &LiveGraph<'a>,
    tensors: &mut GraphTensors<'a>,
    input: ImageInput,
) -> Result<Vec<Link>, (usize, FormatError)> {
    let mut reading = GraphReading {
        links: LinkGraph::new(input.image),
        output: graph.output.to_owned(),
    };
    let view = AxisView::image(input.places, input.batch, input.image);
    let is_rows = input.places == ImagePlaces::ROWS;
    let first = GraphValue::Flow(reading.links.input(view, is_rows));
    let mut values: HashMap<&str, GraphValue> = HashMap::from([(graph.input, first)]);
    for (i, &proto) in graph.nodes.iter().enumerate() {
        reading.links.node = i;
        let node = NodeRef {
            proto,
            opset: graph.opset,
        };
        let inputs = inputs(&mut reading, graph, tensors, &mut values, node).map_err(|e| (i, e))?;
        let value = operators::evaluate(&mut reading, &inputs).map_err(|e| (i, e))?;
        if let Some(name) = proto.output.first() {
            values.insert(name, value);
        }
    }
    let all = graph.nodes.len();
    finish(reading, graph, values.get(graph.output)).map_err(|e| (all, e))
}

/// The values of a node's inputs.
fn inputs<'a>(
    reading: &mut GraphReading,
    graph: &LiveGraph<'a>,
    tensors: &mut GraphTensors<'a>,
    values: &mut HashMap<&'a str, GraphValue>,
    node: NodeRef<'a>,
) -> Result<Inputs<'a>, FormatError> {
    let mut found = Vec::with_capacity(node.proto.input.len());
    for name in &node.proto.input {
        if name.is_empty() {
            found.push(None);
            continue;
        }
        if !values.contains_key(name.as_str()) {
            let tensor = tensors.get(graph, name)?.ok_or_else(|| {
                node.error(format!(
                    "reads `{name}`, which no node before it makes and no tensor holds"
                ))
            })?;
            reading.links.budget.earn(tensor.constants());
            values.insert(name, tensor);
        }
        found.push(values.get(name.as_str()).cloned());
    }
    Ok(Inputs {
        node,
        values: found,
    })
}

/// The layers up to the output.
fn finish(
    mut reading: GraphReading,
    graph: &LiveGraph<'_>,
    output: Option<&GraphValue>,
) -> Result<Vec<Link>, FormatError> {
    let name = graph.output;
    let Some(GraphValue::Flow(flow)) = output else {
        return Err(format!("its output `{name}` does not depend on the images").into());
    };
    let last = graph.nodes.last().copied();
    let output = match last {
        Some(proto) => {
            let opset = graph.opset;
            reading.links.settle(&NodeRef { proto, opset }, flow)?
        }
        None => flow.output,
    };
    if !is_in_order(&reading, flow) {
        return Err(format!(
            "its output `{name}` is [{}] in another order than [batch, outputs]; expected one row per image",
            flow.view
        )
        .into());
    }
    Ok(reading.links.leading_to(output))
}

/// Whether the output's elements are in an order that layers have.
fn is_in_order(reading: &GraphReading, flow: &Flow) -> bool {
    match reading.links.image(flow) {
        Some(image) => flow.view.places(image).is_some(),
        None => flow.view.features().is_some_and(are_in_order),
    }
}
