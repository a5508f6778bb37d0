//! Builds a graph, node by node.

use std::collections::HashSet;

use super::super::messages::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::edge::{AxisOrder, Edge};
use super::tensors;

/// The name of the axis of samples.
const BATCH: &str = "batch";
/// `TensorProto.DataType`.
const FLOAT: i32 = 1;

/// The nodes so far.
pub(super) struct GraphWriter {
    graph: GraphProto,
    taken: HashSet<String>,
}

impl GraphWriter {
    /// An empty graph of this name, which must not give `reserved` names to anything unless told.
    pub fn new(name: &str, reserved: impl Iterator<Item = String>) -> Self {
        // The format requires a name.
        let name = if name.is_empty() { "model" } else { name };
        let graph = GraphProto {
            name: Some(name.into()),
            ..GraphProto::default()
        };
        Self {
            graph,
            taken: reserved.collect(),
        }
    }

    /// `name`, or `name_1` and so on if it is taken.
    pub fn fresh(&mut self, name: String) -> String {
        let numbered = (1..).map(|i| format!("{name}_{i}"));
        let free = std::iter::once(name.clone())
            .chain(numbered)
            .find(|name| !self.taken.contains(name));
        let free = free.unwrap_or(name);
        self.taken.insert(free.clone());
        free
    }

    /// Adds the input for images of this shape.
    pub fn input(&mut self, shape: [usize; 3], order: AxisOrder) -> Edge {
        let edge = Edge {
            name: self.fresh("input".into()),
            shape: shape.to_vec(),
            order,
        };
        self.graph.input.push(value_info(&edge));
        edge
    }

    /// Adds a node, named after the value that it makes.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        output: Edge,
    ) -> Edge {
        self.graph.node.push(NodeProto {
            input: inputs,
            output: vec![output.name.clone()],
            name: Some(output.name.clone()),
            op_type: Some(operator.into()),
            attribute: attributes,
            domain: None,
            overload: None,
        });
        self.graph.value_info.push(value_info(&output));
        output
    }

    /// Adds a node that computes a value of the same shape from `x` and the other inputs.
    pub fn map(
        &mut self,
        operator: &str,
        (x, others): (&Edge, Vec<String>),
        attributes: Vec<AttributeProto>,
        name: String,
    ) -> Edge {
        let inputs = std::iter::once(x.name.clone()).chain(others).collect();
        let output = Edge { name, ..x.clone() };
        self.node(operator, inputs, attributes, output)
    }

    /// Adds a constant and returns its name.
    pub fn constant(&mut self, tensor: impl FnOnce(String) -> TensorProto, name: String) -> String {
        let name = self.fresh(name);
        self.graph.initializer.push(tensor(name.clone()));
        name
    }

    /// Adds a constant number and returns its name.
    pub fn number(&mut self, value: f32, name: String) -> String {
        let bytes = value.to_le_bytes().to_vec();
        self.constant(|name| tensors::floats(name, &[], bytes), name)
    }

    /// The graph, whose output is `y`.
    pub fn finish(mut self, y: &Edge) -> GraphProto {
        let made = &mut self.graph.value_info;
        let place = (made.iter()).rposition(|value| value.name.as_deref() == Some(&y.name));
        let output = place.map_or_else(|| value_info(y), |place| made.remove(place));
        self.graph.output.push(output);
        self.graph
    }
}

fn value_info(edge: &Edge) -> ValueInfoProto {
    let batch = DimensionProto {
        dim_param: Some(BATCH.into()),
        dim_value: None,
    };
    let sizes = edge.dims().into_iter().map(|n| DimensionProto {
        dim_value: Some(n as i64),
        dim_param: None,
    });
    let shape = TensorShapeProto {
        dim: std::iter::once(batch).chain(sizes).collect(),
    };
    let tensor = TensorTypeProto {
        elem_type: Some(FLOAT),
        shape: Some(shape),
    };
    ValueInfoProto {
        name: Some(edge.name.clone()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_get_a_number() {
        let reserved = ["a.relu", "a.relu_1", "input"].map(String::from);
        let mut graph = GraphWriter::new("", reserved.into_iter());
        assert_eq!(graph.fresh("a.relu".into()), "a.relu_2");
        assert_eq!(graph.fresh("a.relu".into()), "a.relu_3");
        let input = graph.input([1, 1, 1], AxisOrder::ChannelsLast);
        assert_eq!(input.name, "input_1");
        assert_eq!(graph.finish(&input).name.as_deref(), Some("model"));
    }
}
