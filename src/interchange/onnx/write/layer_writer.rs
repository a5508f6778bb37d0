//! What all layers need to write their nodes.

use super::edge::{AxisOrder, Edge};
use super::graph::GraphWriter;
use super::tensors::{floats, integers, transposed};
use crate::error::{Error, Result};
use crate::shape::{Padding, Pair, Window, dims};
use crate::state::State;

/// Writes the nodes of one layer.
pub(super) struct LayerWriter<'a> {
    pub graph: &'a mut GraphWriter,
    /// The layer's name.
    pub name: &'a str,
    pub state: &'a State,
}

impl<'a> LayerWriter<'a> {
    /// The values of the layer's parameter `what`.
    ///
    /// # Errors
    /// The weights lack it, or have it in another shape.
    pub fn parameter(&self, what: &str, shape: &[usize]) -> Result<&'a [f32]> {
        let layout = &self.state.layout;
        let full = format!("{}/{what}", self.name);
        let found = layout.find(&full).map(|i| &layout.parameters[i]);
        let values = found
            .filter(|p| p.shape == shape)
            .and_then(|p| self.state.params.get(p.range()));
        values.ok_or_else(|| {
            let wanted = dims(shape);
            let found = found.map_or("none".into(), |p| dims(&p.shape));
            let message =
                format!("the weights do not fit: expected a {what} of {wanted}, found {found}");
            Error::layer(self.name, message)
        })
    }

    /// Adds a constant of these dimensions, with the elements of a row-major tensor of this shape
    /// after its axes are put in another order, and returns its name.
    pub fn constant(
        &mut self,
        what: &str,
        dims: &[usize],
        values: &[f32],
        (shape, axes): (&[usize], &[usize]),
    ) -> String {
        let bytes = transposed(values, shape, axes);
        self.graph
            .constant(|name| floats(name, dims, bytes), self.part(what))
    }

    /// Adds the parameter `what` of one value per channel of `x`, in the order of `x`.
    ///
    /// # Errors
    /// As [`Self::parameter`].
    pub fn per_channel(&mut self, what: &str, x: &Edge) -> Result<String> {
        let c = x.channels();
        let values = self.parameter(what, &[c])?;
        Ok(match x.image() {
            Some(image) => self.constant(what, &[c], values, (&image, &[2, 0, 1])),
            None => self.constant(what, &[c], values, (&[c], &[0])),
        })
    }

    /// Adds the bias of this many units, if there is one.
    ///
    /// # Errors
    /// As [`Self::parameter`].
    pub fn bias(&mut self, use_bias: bool, units: usize) -> Result<Option<String>> {
        if !use_bias {
            return Ok(None);
        }
        let values = self.parameter("bias", &[units])?;
        Ok(Some(self.constant(
            "bias",
            &[units],
            values,
            (&[units], &[0]),
        )))
    }

    /// The kernel, with gaps between its cells, over the image `x`.
    ///
    /// # Errors
    /// It does not fit, as [`LayerSpec::output_shape`](crate::model::LayerSpec::output_shape) says
    /// too.
    pub fn window(
        &self,
        x: &Edge,
        kernel: (Pair, Pair),
        strides: Pair,
        padding: Padding,
    ) -> Result<Window> {
        let size = x.shape.first_chunk().copied().unwrap_or([0, 0]);
        Window::dilated(size, kernel, strides, padding).map_err(|e| Error::layer(self.name, e))
    }

    /// Adds a constant vector of integers and returns its name.
    pub fn integers(&mut self, what: &str, values: &[usize]) -> String {
        self.graph
            .constant(|name| integers(name, values), self.part(what))
    }

    /// Adds a constant number and returns its name.
    pub fn number(&mut self, what: &str, value: f32) -> String {
        self.graph.number(value, self.part(what))
    }

    /// The name of a part of the layer.
    fn part(&self, what: &str) -> String {
        format!("{}.{what}", self.name)
    }

    /// A name for a value that is not the layer's result.
    pub fn inner(&mut self, what: &str) -> String {
        self.graph.fresh(self.part(what))
    }

    /// The layer's result, which has its name: an image with channels first, or a vector.
    pub fn result(&self, shape: Vec<usize>) -> Edge {
        let order = match shape.len() {
            3 => AxisOrder::ChannelsFirst,
            _ => AxisOrder::ChannelsLast,
        };
        Edge {
            name: self.name.into(),
            shape,
            order,
        }
    }
}
