//! Flattening.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec};
use crate::plan::{Builder, Value};

/// Flattens the input to one axis: `[h, w, c]` becomes `[h * w * c]`, in this order. No parameters
/// and no cost: the memory layout does not change. Accepts any input.
///
/// ```
/// use cnn_gpu::model::{Flatten, Sequential};
/// let model = Sequential::new([5, 5, 64]).add(Flatten::new());
/// assert_eq!(model.output_shape()?, [1600]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Flatten {
    /// Default: `flatten`, then `flatten_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Flatten {
    /// A flattening layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl LayerSpec for Flatten {
    fn kind(&self) -> &'static str {
        "Flatten"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        Ok(vec![input.iter().product()])
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, _b: &mut Builder, x: Value) -> Result<Value, String> {
        Ok(x.flattened())
    }
}
