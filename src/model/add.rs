//! The sum of several layers.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec, several};
use crate::plan::{Builder, Value};
use crate::shape::dims;

/// The sum of the outputs of several layers, cell by cell: `y = ((x_1 + x_2) + x_3) + ...`, in the
/// order of `from`.
///
/// The inputs and the output have one shape. No parameters. With it a network has skip connections,
/// as residual networks do (He et al., 2015). A layer may be named several times, and the model's
/// input is named `input`. Errors: fewer than two inputs; shapes that differ.
///
/// ```
/// use cnn_gpu::model::{Add, Conv2D, Sequential};
/// use cnn_gpu::shape::Padding;
/// let model = Sequential::new([8, 8, 4])
///     .add(Conv2D::new(4, 3).padding(Padding::Same).name("conv"))
///     .add_from(["conv", "input"], Add::new());
/// assert_eq!(model.output_shape()?, [8, 8, 4]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Add {
    /// Default: `add`, then `add_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Add {
    /// A layer that adds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl LayerSpec for Add {
    fn kind(&self) -> &'static str {
        "Add"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        self.merged_shape(&[input])
    }

    fn merged_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let first = several(inputs)?;
        match inputs.iter().find(|input| **input != first) {
            None => Ok(first.to_vec()),
            Some(other) => Err(format!(
                "`from` names layers with outputs of {} and {}; expected one shape",
                dims(first),
                dims(other)
            )),
        }
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        self.lower_merged(b, vec![x])
    }

    fn lower_merged(&self, b: &mut Builder, inputs: Vec<Value>) -> Result<Value, String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| &x.shape[..]).collect();
        self.merged_shape(&shapes)?;
        Ok(b.add(inputs))
    }
}
