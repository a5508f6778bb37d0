//! What is known while a graph is read.

use super::extent::product;
use super::inputs::Inputs;
use super::link::LinkKind;
use super::link_graph::LinkGraph;
use super::node::NodeRef;
use super::value::{Flow, GraphValue};
use super::view::AxisView;
use crate::error::FormatError;

/// The state of reading a graph, node by node.
pub(super) struct GraphReading {
    pub links: LinkGraph,
    /// The name of the graph's output.
    pub output: String,
}

impl GraphReading {
    /// Takes elements from the budget.
    ///
    /// # Errors
    /// It is used up.
    pub fn spend(&mut self, node: &NodeRef<'_>, elements: usize) -> Result<(), FormatError> {
        self.links.budget.spend(node, elements)
    }

    /// Adds a layer that reads `flow` and whose output has this shape and these axes.
    ///
    /// # Errors
    /// No layers compute the function that `flow` is, or there are too many layers.
    pub fn layer(
        &mut self,
        inputs: &Inputs<'_>,
        flow: &Flow,
        kind: LinkKind,
        (shape, view): (Vec<usize>, AxisView),
    ) -> Result<GraphValue, FormatError> {
        let from = self.links.settle(&inputs.node, flow)?;
        let output = self.links.push(&inputs.node, kind, &[from], shape)?;
        self.viewed(inputs, &self.links.flow(output, view.clone()), view)
    }

    /// The same elements with other axes. An image that becomes a vector is flattened; an input of vectors that
    /// becomes images was one of images.
    ///
    /// # Errors
    /// As [`Self::layer`].
    pub fn viewed(
        &mut self,
        inputs: &Inputs<'_>,
        flow: &Flow,
        view: AxisView,
    ) -> Result<GraphValue, FormatError> {
        if let Some(image) = self.links.unflattened(&inputs.node, flow, &view)? {
            return Ok(GraphValue::Flow(image));
        }
        let features = view.features().and_then(product);
        if let (Some(features), Some(_)) = (features, self.links.image(flow)) {
            let from = self.links.settle(&inputs.node, flow)?;
            let shape = vec![features];
            let output = (self.links).push(&inputs.node, LinkKind::Flatten, &[from], shape)?;
            return Ok(GraphValue::Flow(self.links.flow(output, view)));
        }
        Ok(GraphValue::Flow(Flow {
            view,
            ..flow.clone()
        }))
    }
}
