//! Rescaling.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec};
use crate::plan::{Builder, Value};

/// `y = x * scale + offset`, in training and in inference.
///
/// The output has the input's shape. No parameters. Data sets are bytes, and a network receives
/// `byte / 255`: a Keras model that starts with `Rescaling(1 / 255)` needs no such layer here, and
/// one that starts with `Rescaling(1 / 127.5, offset=-1)` needs `scale = 2`, `offset = -1`. Errors:
/// a scale or offset that is not finite.
///
/// ```
/// use cnn_gpu::model::{Rescaling, Sequential};
/// let model = Sequential::new([28, 28, 1]).add(Rescaling::new(2.0).offset(-1.0));
/// assert_eq!(model.output_shape()?, vec![28, 28, 1]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rescaling {
    /// Default: `rescaling`, then `rescaling_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The factor.
    pub scale: f32,
    /// The number added after scaling. Default 0.
    #[serde(default)]
    pub offset: f32,
}

impl Rescaling {
    /// Multiplies by `scale`.
    pub fn new(scale: f32) -> Self {
        Self {
            name: None,
            scale,
            offset: 0.0,
        }
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the offset.
    pub fn offset(mut self, offset: f32) -> Self {
        self.offset = offset;
        self
    }
}

impl LayerSpec for Rescaling {
    fn kind(&self) -> &'static str {
        "Rescaling"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        if self.scale.is_finite() && self.offset.is_finite() {
            Ok(input.to_vec())
        } else {
            Err(format!(
                "scale {} and offset {} must be finite numbers",
                self.scale, self.offset
            ))
        }
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        Ok(b.rescale(x, self.scale, self.offset))
    }
}
