//! Dropout of single elements and of whole feature maps.

use serde::{Deserialize, Serialize};

use super::layer::{LayerSpec, ParameterSpec, image};
use crate::plan::{Builder, Value};
use crate::words::short;

/// Checks a dropout rate.
fn checked(rate: f64) -> Result<(), String> {
    if (0.0..1.0).contains(&rate) {
        Ok(())
    } else {
        Err(format!(
            "rate {} must lie in [0, 1): it is the fraction of cells to drop",
            short(rate)
        ))
    }
}

macro_rules! dropout_layer {
    ($(#[$doc:meta])* $layer:ident, $shape:expr, $draws:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $layer {
            /// Default: `dropout` (`spatial_dropout2d`), then with `_1`, `_2`, ... appended.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub name: Option<String>,
            /// The fraction to drop, in `[0, 1)`.
            pub rate: f64,
        }

        impl $layer {
            /// Drops this fraction.
            pub fn new(rate: f64) -> Self {
                Self { name: None, rate }
            }

            /// Names the layer.
            pub fn name(mut self, name: impl Into<String>) -> Self {
                self.name = Some(name.into());
                self
            }
        }

        impl LayerSpec for $layer {
            fn kind(&self) -> &'static str {
                stringify!($layer)
            }

            fn given_name(&self) -> Option<&str> {
                self.name.as_deref()
            }

            fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
                checked(self.rate)?;
                $shape(input)
            }

            fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
                Vec::new()
            }

            fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
                checked(self.rate)?;
                let draws = $draws(&x.shape);
                Ok(b.dropout(x, self.rate, draws))
            }
        }
    };
}

dropout_layer!(
    /// In training, sets each element to 0 with probability `rate` and multiplies the others by
    /// `1 / (1 - rate)`, which keeps the expected sum. The identity in inference.
    ///
    /// ```text
    /// y[i] = x[i] / (1 - rate) where draw[i] >= rate, else 0
    /// dx[i] = dy[i] / (1 - rate) where draw[i] >= rate, else 0
    /// ```
    ///
    /// The output has the input's shape. No parameters. The draws depend only on the run's seed,
    /// the step, the layer and the element, so every device and a resumed run draw the same.
    /// Errors: a rate outside `[0, 1)`.
    ///
    /// ```
    /// use cnn_gpu::model::{Activation, Dense, Dropout, Flatten, Sequential};
    /// let model = Sequential::new([28, 28, 1])
    ///     .add(Flatten::new())
    ///     .add(Dense::new(128).activation(Activation::Relu))
    ///     .add(Dropout::new(0.5))
    ///     .add(Dense::new(10).activation(Activation::Softmax));
    /// assert_eq!(model.output_shape()?, vec![10]);
    /// assert!(Sequential::new([2, 2, 1]).add(Dropout::new(1.0)).resolve().is_err());
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    Dropout,
    |input: &[usize]| Ok(input.to_vec()),
    |shape: &[usize]| shape.iter().product()
);

dropout_layer!(
    /// Drops whole feature maps: like [`Dropout`], with one draw per sample and channel.
    /// Neighbouring pixels are strongly correlated, so dropping single pixels would regularize
    /// little.
    ///
    /// ```text
    /// y[n, iy, ix, c] = x[n, iy, ix, c] / (1 - rate) where draw[n, c] >= rate, else 0
    /// ```
    ///
    /// Input and output `[h, w, c]`. No parameters. Errors: an input that is not an image; a rate
    /// outside `[0, 1)`.
    ///
    /// ```
    /// use cnn_gpu::model::{Conv2D, Sequential, SpatialDropout2D};
    /// let model = Sequential::new([28, 28, 1])
    ///     .add(Conv2D::new(32, 3))
    ///     .add(SpatialDropout2D::new(0.2));
    /// assert_eq!(model.output_shape()?, vec![26, 26, 32]);
    /// # Ok::<(), cnn_gpu::Error>(())
    /// ```
    SpatialDropout2D,
    |input: &[usize]| image(input).map(|shape| shape.to_vec()),
    |shape: &[usize]| shape.last().copied().unwrap_or(1)
);
