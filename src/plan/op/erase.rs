//! Erases a rectangle of each image.

use std::ops::Range;

use super::affine::image;
use super::draws::RowDraws;
use super::{Op, Operation, Rounding};
use crate::model::Activation;
use crate::plan::{BufferId, Builder, Plan, Value};
use crate::rng::Key;

/// Which areas are erased.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EraseAreas {
    /// The bounds of the probability, which is drawn too.
    pub probability: [f64; 2],
    /// The bounds of the square of a side, as a share of the image's.
    pub scale: [f64; 2],
    /// What fills an area; normal noise times the upper end of the range by default.
    pub fill_value: Option<f64>,
    /// The range of pixels, that the filling is clipped to.
    pub range: [f64; 2],
}

impl EraseAreas {
    /// The largest height or width of an image, for products in 32 bits.
    pub const MAX_SIDE: usize = 1 << 19;

    /// Lower bound and extent of the probability in units of 2^-16.
    pub fn probability_bounds(&self) -> [u32; 2] {
        bounds(self.probability, 16)
    }

    /// Lower bound in units of 2^-24 and extent in units of 2^-16 of the square of a side.
    pub fn scale_bounds(&self) -> [u32; 2] {
        [bounds(self.scale, 24)[0], bounds(self.scale, 16)[1]]
    }
}

/// Lower bound and extent in units of `2^-bits`.
fn bounds([lower, upper]: [f64; 2], bits: u32) -> [u32; 2] {
    let unit = f64::from(1_u32 << bits);
    let lower_units = (lower * unit).round();
    [
        lower_units as u32,
        ((upper * unit).round() - lower_units) as u32,
    ]
}

/// Fills a rectangle of some images. Everything but the noise is computed in integers, so that all
/// devices erase the same pixels:
///
/// ```text
/// erased      draw 1 < p                             p = U(probability) from draw 0
/// side        r = floor(sqrt(U(scale)))              width from draw 2, height from draw 3
/// from, to    u * (1 - r), from + r                  u = draws 4 and 5, in shares of the image's side
/// ```
///
/// A pixel is in the rectangle if its row and column lie in `from <= i < to`; as in Keras, row 0 and
/// column 0 therefore nearly never are.
#[derive(Clone, Debug, PartialEq)]
pub struct Erase {
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// Which areas.
    pub areas: EraseAreas,
    /// The draws of each row.
    pub draws: RowDraws,
    /// The draws of the noise: the series from which each element of the batch has one.
    pub noise: RowDraws,
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The result, `[n, h, w, c]`.
    pub y: BufferId,
}

impl Erase {
    /// The rows and columns that are erased of the image in this row of the batch.
    pub fn area(&self, key: Key, row: usize) -> Option<[Range<usize>; 2]> {
        let draw = |i| self.draws.bits(key, row, i);
        let [lower, extent] = self.areas.probability_bounds();
        let probability = lower + ((u64::from(extent) * u64::from(draw(0) >> 16)) >> 16) as u32;
        if draw(1) >> 16 >= probability {
            return None;
        }
        let [h, w, _] = self.shape;
        Some([
            self.side(h, draw(3), draw(5)),
            self.side(w, draw(2), draw(4)),
        ])
    }

    /// The part of a side of `len` pixels, from the draws of its size and its place.
    fn side(&self, len: usize, size: u32, place: u32) -> Range<usize> {
        let [lower, extent] = self.areas.scale_bounds();
        let square = lower + ((u64::from(extent) * u64::from(size >> 16)) >> 8) as u32;
        part_of_side(len, root_of_share(square), place)
    }
}

/// The root, in units of 2^-12, of a share in units of 2^-24.
pub(super) fn root_of_share(share: u32) -> u32 {
    share.isqrt().min(1 << 12)
}

/// The pixels of a side of `len` pixels that lie in a part of it: `share`, in units of 2^-12, is the
/// part's length, and the draw `place` says where it lies.
pub(super) fn part_of_side(len: usize, share: u32, place: u32) -> Range<usize> {
    // In units of 2^-24.
    let from = (place >> 20) * ((1 << 12) - share);
    let pixel = |at: u32| (len as u64 * u64::from(at)).div_ceil(1 << 24) as usize;
    pixel(from)..pixel(from + (share << 12))
}

impl Builder {
    /// Adds the erasing of random areas; returns `x` unchanged unless the plan trains.
    ///
    /// # Errors
    /// `x` is not an image.
    pub fn erase(&mut self, x: Value, areas: EraseAreas) -> Result<Value, String> {
        if !self.augments() {
            return Ok(x);
        }
        let shape = image(&x)?;
        let (draws, noise) = (self.row_draws(), self.row_draws());
        let y = self.value(x.shape.clone(), Activation::Linear);
        self.push(Op::Erase(Erase {
            shape,
            areas,
            draws,
            noise,
            x: x.buffer,
            y: y.buffer,
        }));
        Ok(y)
    }
}

impl Operation for Erase {
    fn name(&self) -> &'static str {
        "erase"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    fn flops(&self, plan: &Plan) -> u64 {
        plan.elements(self.y)
    }

    /// That of the noise.
    fn rounding(&self) -> Rounding {
        Rounding::Exponential
    }
}
