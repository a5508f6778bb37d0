//! Zeros around an image.

use serde::{Deserialize, Serialize};

use super::PoolKind;
use super::layer::{LayerSpec, ParameterSpec, image};
use crate::plan::{Builder, Value};
use crate::shape::Window;

/// The number of rows and columns of zeros: one number for all sides, `[rows, columns]` for equal
/// opposite sides, or `[[top, bottom], [left, right]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenMargins", into = "[[usize; 2]; 2]")]
pub struct Margins(pub [[usize; 2]; 2]);

/// Margins as they are written in a file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected an integer, two of them like [1, 2], or four like [[1, 0], [2, 3]]"
)]
enum WrittenMargins {
    All(usize),
    Axes([usize; 2]),
    Sides([[usize; 2]; 2]),
}

impl From<WrittenMargins> for Margins {
    fn from(written: WrittenMargins) -> Self {
        match written {
            WrittenMargins::All(n) => n.into(),
            WrittenMargins::Axes(axes) => axes.into(),
            WrittenMargins::Sides(sides) => Self(sides),
        }
    }
}

impl From<Margins> for [[usize; 2]; 2] {
    fn from(margins: Margins) -> Self {
        margins.0
    }
}

impl From<usize> for Margins {
    fn from(n: usize) -> Self {
        Self([[n, n], [n, n]])
    }
}

impl From<[usize; 2]> for Margins {
    fn from([rows, columns]: [usize; 2]) -> Self {
        Self([[rows, rows], [columns, columns]])
    }
}

impl From<[[usize; 2]; 2]> for Margins {
    fn from(sides: [[usize; 2]; 2]) -> Self {
        Self(sides)
    }
}

/// Pads an image with zeros: `y[n, top + iy, left + ix, c] = x[n, iy, ix, c]`, 0 elsewhere.
///
/// Input `[h, w, c]`, output `[top + h + bottom, left + w + right, c]`. No parameters. Runs as a
/// 1x1 sum pool with padding. Errors: an input that is not an image.
///
/// ```
/// use cnn_gpu::model::{Sequential, ZeroPadding2D};
/// let model = Sequential::new([5, 6, 3]).add(ZeroPadding2D::new([[1, 0], [2, 3]]));
/// assert_eq!(model.output_shape()?, vec![6, 11, 3]);
/// # Ok::<(), cnn_gpu::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ZeroPadding2D {
    /// Default: `zero_padding2d`, then `zero_padding2d_1`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Default 1.
    #[serde(default = "one")]
    pub padding: Margins,
}

fn one() -> Margins {
    1.into()
}

impl ZeroPadding2D {
    /// Pads each side with this many zeros; see [`Margins`].
    pub fn new(padding: impl Into<Margins>) -> Self {
        Self {
            name: None,
            padding: padding.into(),
        }
    }

    /// Names the layer.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl LayerSpec for ZeroPadding2D {
    fn kind(&self) -> &'static str {
        "ZeroPadding2D"
    }

    fn given_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let [ih, iw, channels] = image(input)?;
        let Margins([[top, bottom], [left, right]]) = self.padding;
        let rows = top.saturating_add(bottom).saturating_add(ih);
        let columns = left.saturating_add(right).saturating_add(iw);
        Ok(vec![rows, columns, channels])
    }

    fn parameters(&self, _input: &[usize]) -> Vec<ParameterSpec> {
        Vec::new()
    }

    fn lower(&self, b: &mut Builder, x: Value) -> Result<Value, String> {
        let [ih, iw, _] = image(&x.shape)?;
        let Margins([[top, bottom], [left, right]]) = self.padding;
        let window = Window::framing([ih, iw], [top, bottom], [left, right]);
        Ok(b.pool2d(x, window, PoolKind::Sum))
    }
}
