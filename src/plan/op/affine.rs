//! Affine maps of images: flips, rotations, translations, zooms and shears, several joined into one.

use std::f64::consts::TAU;

use super::draws::{RowDraws, between};
use super::{Op, Operation, Rounding};
use crate::model::{Activation, Resampling, Sampling};
use crate::plan::{BufferId, Builder, Element, Plan, Role, Value};
use crate::rng::Key;

/// A random movement of an image's pixels. `U(a, b)` is a uniform draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AffinePart {
    /// Mirrors along each axis with probability 1/2.
    Flip {
        /// Left to right.
        horizontal: bool,
        /// Top to bottom.
        vertical: bool,
    },
    /// Rotates counter-clockwise by `U(turns)` full turns.
    Rotate {
        /// The least and the largest angle.
        turns: [f64; 2],
    },
    /// Shifts down by `U(height) * h` and to the right by `U(width) * w`.
    Translate {
        /// The least and the largest share of the height.
        height: [f64; 2],
        /// The least and the largest share of the width.
        width: [f64; 2],
    },
    /// Scales the distance from the centre at which the image is read by `1 + U(height)` and
    /// `1 + U(width)`, or by the same number along both axes.
    Zoom {
        /// What is added to the scale of the height.
        height: [f64; 2],
        /// What is added to the scale of the width, if it is not that of the height.
        width: Option<[f64; 2]>,
    },
    /// Shifts rows by `s * U(x)` of their distance from the top and columns by `s * U(y)` of theirs
    /// from the left; the sign `s` is drawn too.
    Shear {
        /// The least and the largest share along the x axis.
        x: [f64; 2],
        /// The least and the largest share along the y axis.
        y: [f64; 2],
    },
    /// Cuts out a part of this height and width, at the same place of all images of the batch: that
    /// which the draws of the batch's first row give.
    Crop {
        /// Height and width of the part.
        to: [usize; 2],
    },
}

/// A movement and its draws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapDraw {
    /// The movement.
    pub part: AffinePart,
    /// Its draws, in the order of the fields; a shear's sign comes first.
    pub draws: RowDraws,
}

/// Where an image is read: the pixel `(x, y)` of the output is that at
/// `(a0 x + a1 y + a2, b0 x + b1 y + b2)` of the input, with both places relative to the centre of
/// their image, `((w - 1) / 2, (h - 1) / 2)`. In the order `a0 a1 a2 b0 b1 b2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineMap(pub [f64; 6]);

impl AffineMap {
    /// Floats for each row of a batch: the six numbers and two zeros.
    pub const LEN: usize = 8;

    /// Changes nothing.
    pub const IDENTITY: Self = Self([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);

    /// This map and then `next`: the result is read through `next` first.
    fn then(self, next: Self) -> Self {
        let [a0, a1, a2, b0, b1, b2] = self.0;
        let [c0, c1, c2, d0, d1, d2] = next.0;
        Self([
            a0 * c0 + a1 * d0,
            a0 * c1 + a1 * d1,
            a0 * c2 + a1 * d2 + a2,
            b0 * c0 + b1 * d0,
            b0 * c1 + b1 * d1,
            b0 * c2 + b1 * d2 + b2,
        ])
    }

    /// The numbers as a row of the buffer.
    pub fn row(self) -> [f32; Self::LEN] {
        let mut row = [0.0; Self::LEN];
        for (to, from) in row.iter_mut().zip(self.0) {
            *to = from as f32;
        }
        row
    }
}

impl AffinePart {
    /// The row of the batch whose draws move the image in `row`.
    pub fn drawn_row(self, row: usize) -> usize {
        match self {
            Self::Crop { .. } => 0,
            _ => row,
        }
    }

    /// The map from the bits of each draw.
    fn map(self, [h, w]: [usize; 2], draw: impl Fn(u32) -> u32) -> AffineMap {
        let uniform = |i, bounds| between(draw(i), bounds);
        let (h, w) = (h as f64, w as f64);
        let scaled = |x: f64, y: f64| AffineMap([x, 0.0, 0.0, 0.0, y, 0.0]);
        match self {
            Self::Flip {
                horizontal,
                vertical,
            } => {
                let sign = |flips, i| {
                    if flips && draw(i) >= 1 << 31 {
                        -1.0
                    } else {
                        1.0
                    }
                };
                scaled(sign(horizontal, 0), sign(vertical, 1))
            }
            Self::Rotate { turns } => {
                let (sin, cos) = (TAU * uniform(0, turns)).sin_cos();
                AffineMap([cos, -sin, 0.0, sin, cos, 0.0])
            }
            Self::Translate { height, width } => {
                let (down, right) = (uniform(0, height) * h, uniform(1, width) * w);
                AffineMap([1.0, 0.0, -right, 0.0, 1.0, -down])
            }
            Self::Zoom { height, width } => {
                let rows = 1.0 + uniform(0, height);
                let columns = width.map_or(rows, |width| 1.0 + uniform(1, width));
                scaled(columns, rows)
            }
            Self::Shear { x, y } => {
                let sign = if draw(0) >= 1 << 31 { -1.0 } else { 1.0 };
                let (sx, sy) = (sign * uniform(1, x), sign * uniform(2, y));
                // The distances are from the corner.
                let (cx, cy) = ((w - 1.0) / 2.0, (h - 1.0) / 2.0);
                AffineMap([1.0, sx, sx * cy, sy, 1.0, sy * cx])
            }
            Self::Crop {
                to: [rows, columns],
            } => {
                // The first pixel, in integers, so that all devices cut alike.
                let first = |i, len: f64, part: usize| {
                    let places = len - part as f64 + 1.0;
                    (f64::from(draw(i) >> 16) * places / 65_536.0).floor()
                };
                let centre = |len: f64| (len - 1.0) / 2.0;
                let down = first(0, h, rows) + centre(rows as f64) - centre(h);
                let right = first(1, w, columns) + centre(columns as f64) - centre(w);
                AffineMap([1.0, 0.0, right, 0.0, 1.0, down])
            }
        }
    }
}

/// Draws a map for each row of the batch: the movements in turn, from the draws of each.
#[derive(Clone, Debug, PartialEq)]
pub struct DrawMaps {
    /// The movements, first to last.
    pub parts: Vec<MapDraw>,
    /// Height and width of the images.
    pub size: [usize; 2],
    /// The maps, `[n, 8]`.
    pub maps: BufferId,
}

impl DrawMaps {
    /// The map of a row.
    pub fn map(&self, key: Key, row: usize) -> AffineMap {
        let maps = self.parts.iter().map(|MapDraw { part, draws }| {
            let row = part.drawn_row(row);
            part.map(self.size, |i| draws.bits(key, row, i))
        });
        maps.fold(AffineMap::IDENTITY, AffineMap::then)
    }
}

/// Reads each image through its map; see [`AffineMap`] and [`Sampling`].
#[derive(Clone, Debug, PartialEq)]
pub struct AffineTransform {
    /// Height, width and channels of an image.
    pub shape: [usize; 3],
    /// Height and width of the result.
    pub to: [usize; 2],
    /// How the images are read.
    pub sampling: Sampling,
    /// The images, `[n, h, w, c]`.
    pub x: BufferId,
    /// The maps, `[n, 8]`.
    pub maps: BufferId,
    /// The transformed images, `[n, to, c]`.
    pub y: BufferId,
}

impl Builder {
    /// Adds a movement of the pixels, as part of the one before it if both read images alike and no
    /// other layer reads what is between; returns `x` unchanged unless the plan trains. `None` for
    /// `sampling` if it has no influence.
    ///
    /// # Errors
    /// `x` is not an image.
    pub fn affine(
        &mut self,
        mut x: Value,
        part: AffinePart,
        sampling: Option<Sampling>,
    ) -> Result<Value, String> {
        if !self.augments() {
            return Ok(x);
        }
        let shape = image(&x)?;
        let draws = self.row_draws();
        let moves = MapDraw { part, draws };
        let [h, w, c] = shape;
        let to = match part {
            AffinePart::Crop { to } => to,
            _ => [h, w],
        };
        let moved = vec![to[0], to[1], c];
        if self.joins(&x, moves, sampling, to) {
            self.plan.buffers[x.buffer.0].shape = self.batched(&moved);
            x.shape = moved;
            return Ok(x);
        }
        let name = format!("{} maps", self.layer);
        let rows = self.batched(&[AffineMap::LEN]);
        let maps = self.buffer(name, rows, Element::F32, Role::Intermediate);
        self.push(Op::DrawMaps(DrawMaps {
            parts: vec![moves],
            size: [h, w],
            maps,
        }));
        let y = self.value(moved, Activation::Linear);
        // Movements by whole pixels read them as they are.
        let whole = Sampling {
            interpolation: Resampling::Nearest,
            ..Sampling::default()
        };
        self.push(Op::AffineTransform(AffineTransform {
            shape,
            to,
            sampling: sampling.unwrap_or(whole),
            x: x.buffer,
            maps,
            y: y.buffer,
        }));
        Ok(y)
    }

    /// Adds a movement to the last operations if `x` is their result, is read alike, and is not read
    /// as it is by another layer.
    fn joins(
        &mut self,
        x: &Value,
        moves: MapDraw,
        sampling: Option<Sampling>,
        to: [usize; 2],
    ) -> bool {
        if self.is_taken_later(x) {
            return false;
        }
        let [.., Op::DrawMaps(draw), Op::AffineTransform(transform)] = &mut self.plan.ops[..]
        else {
            return false;
        };
        // What lies outside of a part that was cut out is that part again.
        if let Some(AffinePart::Crop { .. }) = draw.parts.last().map(|moves| moves.part) {
            return false;
        }
        // A flip alone reads pixels as they are, however others are read.
        let mut parts = draw.parts.iter();
        let any = parts.all(|moves| matches!(moves.part, AffinePart::Flip { .. }));
        if transform.y != x.buffer || !(any || sampling.is_none_or(|s| s == transform.sampling)) {
            return false;
        }
        if let Some(sampling) = sampling {
            transform.sampling = sampling;
        }
        draw.parts.push(moves);
        transform.to = to;
        true
    }
}

/// The height, width and channels of an image.
pub(super) fn image(x: &Value) -> Result<[usize; 3], String> {
    let shape = x.shape.as_slice().try_into();
    shape.map_err(|_| "expected an image".into())
}

impl Operation for DrawMaps {
    fn name(&self) -> &'static str {
        "draw_maps"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.maps]
    }

    /// About twenty for each movement.
    fn flops(&self, plan: &Plan) -> u64 {
        (plan.batch * 20 * self.parts.len()) as u64
    }

    fn rounding(&self) -> Rounding {
        Rounding::Few
    }

    fn reads_summary(&self) -> Option<String> {
        Some("random draws".into())
    }
}

impl Operation for AffineTransform {
    fn name(&self) -> &'static str {
        "affine_transform"
    }

    fn reads(&self) -> Vec<BufferId> {
        vec![self.x, self.maps]
    }

    fn writes(&self) -> Vec<BufferId> {
        vec![self.y]
    }

    /// Ten for the place of a pixel, and six for each of its channels.
    fn flops(&self, plan: &Plan) -> u64 {
        let ([h, w], [.., c]) = (self.to, self.shape);
        (plan.batch * h * w * (10 + 6 * c)) as u64
    }

    fn rounding(&self) -> Rounding {
        Rounding::Place
    }
}
