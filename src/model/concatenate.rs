//! Several layers side by side.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec, several};
use crate::plan::{Builder, Value};
use crate::shape::dims;

/// The outputs of several layers side by side along the last axis, the channels of images, in the
/// order of `from`.
///
/// ```text
/// y[n, iy, ix] = x_1[n, iy, ix] ++ x_2[n, iy, ix] ++ ...
/// ```
///
/// Inputs `[h, w, c_1]`, `[h, w, c_2]`, ..., output `[h, w, c_1 + c_2 + ...]`; vectors likewise. No
/// parameters. A layer may be named several times, and the model's input is named `input`. Errors:
/// fewer than two inputs; shapes that differ in other axes than the last.
///
/// ```
/// use cnn_gpu::model::{Concatenate, Conv2D, Sequential};
/// use cnn_gpu::shape::Padding;
/// let model = Sequential::new([8, 8, 3])
///     .add(Conv2D::new(4, 3).padding(Padding::Same).name("conv"))
///     .add_from(["conv", "input"], Concatenate::new());
/// assert_eq!(model.output_shape()?, [8, 8, 7]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Concatenate {
    /// Default: `concatenate`, then `concatenate_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Concatenate {
    /// A layer that concatenates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl LayerSpec for Concatenate {
    fn kind(&self) -> &'static str {
        "Concatenate"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        self.merged_shape(&[input])
    }

    fn merged_shape(&self, inputs: &[&[usize]]) -> Result<Vec<usize>, String> {
        let first = several(inputs)?;
        let before_last = |shape: &[usize]| shape[..shape.len().saturating_sub(1)].to_vec();
        let outer = before_last(first);
        let fits = |shape: &&&[usize]| shape.len() == first.len() && before_last(shape) == outer;
        if let Some(other) = inputs.iter().find(|shape| !fits(shape)) {
            return Err(format!(
                "`from` names layers with outputs of {} and {}; expected shapes that differ only in the last axis",
                dims(first),
                dims(other)
            ));
        }
        let widths = inputs.iter().filter_map(|shape| shape.last());
        let width = widths.fold(0usize, |sum, width| sum.saturating_add(*width));
        Ok([outer, vec![width]].concat())
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        self.lower_merged(b, vec![x])
    }

    fn lower_merged(&self, b: &mut Builder, inputs: Vec<Value>) -> Result<Value, String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|x| &x.shape[..]).collect();
        let shape = self.merged_shape(&shapes)?;
        Ok(b.concatenate(inputs, shape))
    }
}
