//! Max, average and sum pooling.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec, image};
use crate::plan::{Builder, Value};
use crate::shape::{Padding, Pair, Window};

/// How a pool reduces the cells under its window, excluding padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolKind {
    /// The maximum; the first one in row-major order receives the whole gradient.
    Max,
    /// The sum divided by the number of cells inside the image.
    Average,
    /// The sum.
    Sum,
}

/// The arguments that the three pooling layers share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pooling2D {
    /// Default: `max_pooling2d`, then `max_pooling2d_1`, ...; likewise for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Height and width of the window. Default 2.
    #[serde(default = "two")]
    pub pool_size: Pair,
    /// Default: `pool_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strides: Option<Pair>,
    /// Default `valid`.
    #[serde(default)]
    pub padding: Padding,
}

impl Pooling2D {
    /// Windows of `pool_size` (one number, or height and width), with strides of the same size and
    /// without padding.
    pub fn new(pool_size: impl Into<Pair>) -> Self {
        Self {
            name: None,
            pool_size: pool_size.into(),
            strides: None,
            padding: Padding::Valid,
        }
    }
}

fn two() -> Pair {
    2.into()
}

impl Pooling2D {
    fn window(&self, input: &[usize]) -> Result<Window, String> {
        let [ih, iw, _] = image(input)?;
        let strides = self.strides.unwrap_or(self.pool_size);
        Window::new([ih, iw], self.pool_size, strides, self.padding)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [_, _, channels] = image(input)?;
        let window = self.window(input)?;
        Ok(vec![window.oh, window.ow, channels])
    }

    fn lower(&self, b: &mut Builder, x: Value, kind: PoolKind) -> Result<Value, String> {
        let window = self.window(&x.shape)?;
        Ok(b.pool2d(x, window, kind))
    }
}

/// Implements a pooling layer: its kind, on top of the shared arguments.
macro_rules! pooling_spec {
    ($layer:ident, $kind:expr) => {
        impl LayerSpec for $layer {
            fn kind(&self) -> &'static str {
                stringify!($layer)
            }

            fn given_name(&self) -> Option<&str> {
                self.0.name.as_deref()
            }

            fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
                self.0.output_shape(input)
            }

            fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
                Vec::new()
            }

            fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
                self.0.lower(b, x, $kind)
            }
        }
    };
}
pub(super) use pooling_spec;

macro_rules! pooling_layer {
    ($(#[$doc:meta])* $layer:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $layer(pub Pooling2D);

        impl $layer {
            /// Windows of `pool_size` (one number, or height and width); all other arguments have
            /// their defaults.
            pub fn new(pool_size: impl Into<Pair>) -> Self {
                Self(Pooling2D::new(pool_size))
            }

            /// Names the layer.
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.0.name = Some(name.into());
                self
            }

            /// Sets the strides. Default: the pool size.
            pub fn strides(mut self, strides: impl Into<Pair>) -> Self {
                self.0.strides = Some(strides.into());
                self
            }

            /// Sets the padding.
            pub fn padding(mut self, padding: Padding) -> Self {
                self.0.padding = padding;
                self
            }
        }

        pooling_spec!($layer, $kind);
    };
}

pooling_layer!(
    /// Max pooling: `y[n, oy, ox, c] = max_{ky, kx} x[n, oy*sh + ky - pad, ox*sw + kx - pad, c]`.
    ///
    /// Input `[h, w, c]`, output `[oh, ow, c]`. Padding is ignored. The gradient goes to the first
    /// maximum in row-major order. Defaults: strides equal to the pool size, padding `valid`.
    /// Errors: an input that is not an image or is smaller than a `valid` window.
    ///
    /// ```
    /// use cnn_gpu::model::{MaxPooling2D, Sequential};
    /// let model = Sequential::new([13, 13, 8]).add(MaxPooling2D::new(2));
    /// assert_eq!(model.output_shape()?, vec![6, 6, 8]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    MaxPooling2D,
    PoolKind::Max
);

pooling_layer!(
    /// Average pooling: the mean of the `m` cells of the window that lie inside the image:
    /// `y[n, oy, ox, c] = 1/m Σ_{ky, kx} x[n, oy*sh + ky - pad, ox*sw + kx - pad, c]`.
    ///
    /// Input `[h, w, c]`, output `[oh, ow, c]`; each of these cells receives an equal share of the
    /// gradient. Defaults: strides equal to the pool size, padding `valid`; in a model file also a
    /// pool size of 2, where Keras requires one. Errors: an input that is not an image or is
    /// smaller than a `valid` window.
    ///
    /// ```
    /// use cnn_gpu::model::{AveragePooling2D, Sequential};
    /// let model = Sequential::new([8, 8, 3]).add(AveragePooling2D::new([2, 4]));
    /// assert_eq!(model.output_shape()?, vec![4, 2, 3]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    AveragePooling2D,
    PoolKind::Average
);

pooling_layer!(
    /// Sum pooling: the sum of the cells under the window,
    /// `y[n, oy, ox, c] = Σ_{ky, kx} x[n, oy*sh + ky - pad, ox*sw + kx - pad, c]`. Keras has no
    /// such layer; its arguments and defaults are those of [`AveragePooling2D`].
    ///
    /// Input `[h, w, c]`, output `[oh, ow, c]`; each cell receives the whole gradient.
    /// Errors: an input that is not an image or is smaller than a `valid` window.
    ///
    /// ```
    /// use cnn_gpu::model::{Sequential, SumPooling2D};
    /// use cnn_gpu::shape::Padding;
    /// let pool = SumPooling2D::new(3).strides(2).padding(Padding::Same);
    /// let model = Sequential::new([7, 7, 3]).add(pool);
    /// assert_eq!(model.output_shape()?, vec![4, 4, 3]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    SumPooling2D,
    PoolKind::Sum
);
