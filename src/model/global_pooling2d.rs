//! Pooling over whole images.

use serde::{Deserialize, Serialize};

use super::PoolKind;
use super::layer::{LayerSpec, ParameterSpec, image};
use super::pooling2d::pooling_spec;
use crate::plan::{Builder, Value};
use crate::shape::{Padding, Window};

/// The arguments that both global pooling layers share.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GlobalPooling2D {
    /// Default: `global_average_pooling2d`, then `global_average_pooling2d_1`, ...; likewise for
    /// the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the output keeps its spatial axes, as a 1x1 image. Default false.
    #[serde(default)]
    pub keepdims: bool,
}

impl GlobalPooling2D {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [_, _, channels] = image(input)?;
        Ok(if self.keepdims {
            vec![1, 1, channels]
        } else {
            vec![channels]
        })
    }

    fn lower(&self, b: &mut Builder, x: Value, kind: PoolKind) -> Result<Value, String> {
        let [ih, iw, _] = image(&x.shape)?;
        let whole = [ih, iw];
        let window = Window::new(whole, whole.into(), whole.into(), Padding::Valid)?;
        let y = b.pool2d(x, window, kind);
        Ok(if self.keepdims { y } else { y.flattened() })
    }
}

macro_rules! global_pooling_layer {
    ($(#[$doc:meta])* $layer:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $layer(pub GlobalPooling2D);

        impl $layer {
            /// A layer with the defaults.
            pub fn new() -> Self {
                Self::default()
            }

            /// Names the layer.
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.0.name = Some(name.into());
                self
            }

            /// Sets whether the output keeps its spatial axes, as a 1x1 image.
            pub fn keepdims(mut self, keepdims: bool) -> Self {
                self.0.keepdims = keepdims;
                self
            }
        }

        pooling_spec!($layer, $kind);
    };
}

global_pooling_layer!(
    /// The mean of each channel: `y[n, c] = Σ_{iy, ix} x[n, iy, ix, c] / (h * w)`.
    ///
    /// Input `[h, w, c]`, output `[c]`, or `[1, 1, c]` with `keepdims`; each pixel receives an
    /// equal share of the gradient. No parameters. Errors: an input that is not an image.
    ///
    /// ```
    /// use cnn_gpu::model::{GlobalAveragePooling2D, Sequential};
    /// let model = Sequential::new([7, 5, 3]).add(GlobalAveragePooling2D::new());
    /// assert_eq!(model.output_shape()?, vec![3]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    GlobalAveragePooling2D,
    PoolKind::Average
);

global_pooling_layer!(
    /// The largest pixel of each channel: `y[n, c] = max_{iy, ix} x[n, iy, ix, c]`.
    ///
    /// Input `[h, w, c]`, output `[c]`, or `[1, 1, c]` with `keepdims`. The gradient goes to the
    /// first maximum in row-major order, as in [`MaxPooling2D`](super::MaxPooling2D). Keras on
    /// TensorFlow divides it among equal maxima. No parameters. Errors: an input that is not an
    /// image.
    ///
    /// ```
    /// use cnn_gpu::model::{GlobalMaxPooling2D, Sequential};
    /// let model = Sequential::new([7, 5, 3]).add(GlobalMaxPooling2D::new().keepdims(true));
    /// assert_eq!(model.output_shape()?, vec![1, 1, 3]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    GlobalMaxPooling2D,
    PoolKind::Max
);
