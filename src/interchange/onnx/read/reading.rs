//! What is known while a graph is read.

use super::chain::LinkChain;
use super::extent::product;
use super::inputs::Inputs;
use super::link::LinkKind;
use super::node::NodeRef;
use super::value::{Flow, GraphValue};
use super::view::AxisView;
use crate::error::FormatError;

/// How often each element of the file may be copied.
const COPIES: usize = 8;

/// The state of reading a graph, node by node.
pub(super) struct GraphReading {
    pub chain: LinkChain,
    /// How many more elements may be computed from constants, or copied into layers: a small file
    /// must not take much memory.
    pub budget: usize,
    /// The name of the graph's output.
    pub output: String,
}

impl GraphReading {
    /// Adds what may be done with constants of the file to the budget.
    pub fn earn(&mut self, value: &GraphValue) {
        let copies = value.constants().saturating_mul(COPIES);
        self.budget = self.budget.saturating_add(copies);
    }

    /// Takes elements from the budget.
    ///
    /// # Errors
    /// It is used up.
    pub fn spend(&mut self, node: &NodeRef<'_>, elements: usize) -> Result<(), FormatError> {
        match self.budget.checked_sub(elements) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err(node.error(
                "computes much more from constants than the file holds; simplify the graph",
            )),
        }
    }

    /// Appends a layer that reads `flow` and whose output has this shape and these axes.
    ///
    /// # Errors
    /// Another layer reads it already.
    pub fn layer(
        &mut self,
        inputs: &Inputs<'_>,
        flow: &Flow,
        kind: LinkKind,
        (shape, view): (Vec<usize>, AxisView),
    ) -> Result<GraphValue, FormatError> {
        self.chain.settle(&inputs.node, flow)?;
        self.chain.push(&inputs.node, kind, shape);
        self.viewed(inputs, &self.chain.flow(view.clone()), view)
    }

    /// The same elements with other axes. An image that becomes a vector is flattened; an input of vectors that
    /// becomes images was one of images.
    ///
    /// # Errors
    /// Another layer reads it already.
    pub fn viewed(
        &mut self,
        inputs: &Inputs<'_>,
        flow: &Flow,
        view: AxisView,
    ) -> Result<GraphValue, FormatError> {
        if self.chain.check(&inputs.node, flow).is_ok() && self.chain.is_flattened_input(&view) {
            self.chain.undo();
        }
        let features = view.features().and_then(product);
        if let (Some(features), Some(_)) = (features, self.chain.image()) {
            self.chain.settle(&inputs.node, flow)?;
            (self.chain).push(&inputs.node, LinkKind::Flatten, vec![features]);
            return Ok(GraphValue::Flow(self.chain.flow(view)));
        }
        Ok(GraphValue::Flow(Flow {
            view,
            ..flow.clone()
        }))
    }
}
