//! Functions that a model defines, as older exporters of PyTorch do for each operator of theirs.

use std::collections::HashMap;

use prost::Message;

use super::super::messages::{AttributeProto, FunctionProto, ModelProto, NodeProto};
use super::graph::opset;
use super::node::NodeRef;
use crate::error::FormatError;

/// Functions call functions no deeper than this.
const DEEPEST: usize = 32;
/// Bytes of nodes that calls may become, in addition to a multiple of the file.
const ALLOWANCE: usize = 1 << 18;
/// How many times the file's size calls may become.
const MAX_EXPANSION: usize = 4;
/// What a node, an attribute and a name take in memory besides their texts.
const OVERHEAD: [usize; 3] = [256, 512, 32];

/// Replaces the calls of the functions that a model defines with their nodes. The file has so many
/// bytes.
///
/// # Errors
/// A call that cannot be replaced, by the name of its node.
pub(super) fn inline(model: &mut ModelProto, size: usize) -> Result<(), FormatError> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions = std::mem::take(&mut model.functions);
    let mut inlining = Inlining {
        opset: opset(&model.opset_import)?,
        functions: functions.iter().map(|f| (key_of(f), f)).collect(),
        left: size.saturating_mul(MAX_EXPANSION).saturating_add(ALLOWANCE),
        calls: 0,
        nodes: Vec::new(),
    };
    if let Some(graph) = &mut model.graph {
        for node in std::mem::take(&mut graph.node) {
            inlining.add(node, 0)?;
        }
        graph.node = inlining.nodes;
    }
    Ok(())
}

/// Domain, name and overload.
type FunctionKey<'a> = [&'a str; 3];

fn key_of(function: &FunctionProto) -> FunctionKey<'_> {
    [function.domain(), function.name(), function.overload()]
}

struct Inlining<'a> {
    opset: i64,
    functions: HashMap<FunctionKey<'a>, &'a FunctionProto>,
    /// Bytes that nodes of functions may still take.
    left: usize,
    calls: usize,
    nodes: Vec<NodeProto>,
}

impl Inlining<'_> {
    /// Adds a node, or what it calls.
    fn add(&mut self, node: NodeProto, depth: usize) -> Result<(), FormatError> {
        let key = [node.domain(), node.op_type(), node.overload()];
        let Some(&function) = self.functions.get(&key) else {
            self.nodes.push(node);
            return Ok(());
        };
        let opset_of_model = self.opset;
        let refused = |message: &str| {
            let (proto, opset) = (&node, opset_of_model);
            Err(NodeRef { proto, opset }.error(message))
        };
        if depth == DEEPEST {
            return refused("functions that call each other too deeply; the file is damaged");
        }
        if opset(&function.opset_import).is_ok_and(|opset| opset != self.opset) {
            return refused("a function of another opset than the model's");
        }
        let outputs = function.output.iter();
        if outputs.clone().any(|name| function.input.contains(name)) {
            return refused("a function that returns one of its inputs");
        }
        self.calls += 1;
        let call = FunctionCall::new(&node, function, self.calls);
        for inner in &function.node {
            let inner = call.node(inner);
            match self.left.checked_sub(cost(&inner)) {
                Some(left) => self.left = left,
                None => return refused("functions that make the graph many times as large"),
            }
            self.add(inner, depth + 1)?;
        }
        Ok(())
    }
}

/// The memory that a node takes, at most.
fn cost(node: &NodeProto) -> usize {
    let [one, attribute, name] = OVERHEAD;
    let names = node.input.len() + node.output.len();
    node.encoded_len() + one + attribute * node.attribute.len() + name * names
}

/// A call: the values and attributes that a function's names stand for.
struct FunctionCall<'a> {
    node: &'a NodeProto,
    function: &'a FunctionProto,
    values: HashMap<&'a str, &'a str>,
    number: usize,
}

impl<'a> FunctionCall<'a> {
    fn new(node: &'a NodeProto, function: &'a FunctionProto, number: usize) -> Self {
        let inputs = function.input.iter().enumerate().map(|(i, name)| {
            // Inputs that are left out are nothing.
            let given = node.input.get(i).map_or("", String::as_str);
            (name.as_str(), given)
        });
        let outputs = function.output.iter().zip(&node.output);
        let outputs = outputs.filter(|(_, given)| !given.is_empty());
        let outputs = outputs.map(|(name, given)| (name.as_str(), given.as_str()));
        Self {
            node,
            function,
            values: inputs.chain(outputs).collect(),
            number,
        }
    }

    /// A node of the function as one of the graph.
    fn node(&self, inner: &NodeProto) -> NodeProto {
        let named = |names: &[String]| names.iter().map(|name| self.value(name)).collect();
        let name = match inner.name() {
            "" => inner.op_type(),
            name => name,
        };
        NodeProto {
            input: named(&inner.input),
            output: named(&inner.output),
            name: Some(format!("{}/{name}", self.node.name())),
            attribute: (inner.attribute.iter())
                .filter_map(|a| self.attribute(a))
                .collect(),
            op_type: inner.op_type.clone(),
            domain: inner.domain.clone(),
            overload: inner.overload.clone(),
        }
    }

    fn value(&self, name: &str) -> String {
        match self.values.get(name) {
            Some(&given) => given.to_owned(),
            None if name.is_empty() => String::new(),
            // Short, as there can be many.
            None => format!("#{}/{name}", self.number),
        }
    }

    /// The attribute, or that of the call to which it refers, or its default.
    fn attribute(&self, inner: &AttributeProto) -> Option<AttributeProto> {
        let wanted = match inner.ref_attr_name() {
            "" => return Some(inner.clone()),
            wanted => wanted,
        };
        let given = self
            .node
            .attribute
            .iter()
            .chain(&self.function.attribute_proto);
        let mut found = given.clone().find(|a| a.name() == wanted)?.clone();
        found.name.clone_from(&inner.name);
        Some(found)
    }
}
