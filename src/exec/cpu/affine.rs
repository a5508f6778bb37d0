//! Affine maps of images.

use pulp::{Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{AffineMap, AffineTransform, DrawMaps};

impl RowWise for DrawMaps {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (key, rows) = (block.memory().key, block.places());
        block.write(self.maps, |_, maps| {
            for (row, map) in rows.zip(maps.chunks_exact_mut(AffineMap::LEN)) {
                map.copy_from_slice(&self.map(key, row).row());
            }
        });
    }
}

impl RowWise for AffineTransform {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let arch = block.arch();
        let size: usize = self.shape.iter().product();
        let moved = self.to[0] * self.to[1] * self.shape[2];
        let frame = ImageFrame::new(self.shape, self.sampling);
        block.write(self.y, |block, y| {
            let images = block.floats(self.x).chunks_exact(size);
            let maps = block.floats(self.maps).chunks_exact(AffineMap::LEN);
            for ((x, map), y) in images.zip(maps).zip(y.chunks_exact_mut(moved)) {
                arch.dispatch(Transform {
                    image: SampledImage { x, frame: &frame },
                    to: self.to,
                    map,
                    y,
                });
            }
        });
    }
}

/// What lies around images of one shape: divisions for each pixel would take most of the time.
pub(super) struct ImageFrame {
    shape: [usize; 3],
    sampling: Sampling,
    /// For each axis, the pixel at each of the places `-len..2 * len`; negative for the fill value.
    places: [Vec<i32>; 2],
}

impl ImageFrame {
    pub(super) fn new(shape: [usize; 3], sampling: Sampling) -> Self {
        let places = |len: usize| {
            let all = -(len as i64)..2 * len as i64;
            all.map(|i| place(sampling.fill_mode, i, len)).collect()
        };
        Self {
            shape,
            sampling,
            places: [places(shape[0]), places(shape[1])],
        }
    }

    /// The pixel at a place of an axis; negative for the fill value.
    #[inline(always)]
    fn place(&self, axis: usize, i: i64) -> i32 {
        let len = self.shape[axis];
        match self.places[axis].get(i.wrapping_add(len as i64) as usize) {
            Some(place) => *place,
            None => place(self.sampling.fill_mode, i, len),
        }
    }

    /// The number of channels, known to the compiler unless `C` is 0.
    #[inline(always)]
    pub(super) fn channels<const C: usize>(&self) -> usize {
        if C == 0 { self.shape[2] } else { C }
    }

    /// The first channel of a pixel; `None` for the fill value.
    #[inline(always)]
    fn offset(&self, iy: i32, ix: i32) -> Option<usize> {
        let [_, w, c] = self.shape;
        (iy >= 0 && ix >= 0).then(|| (iy as usize * w + ix as usize) * c)
    }
}

#[inline(never)]
fn place(mode: FillMode, i: i64, len: usize) -> i32 {
    FillMode::index(mode, i, len).map_or(-1, |i| i as i32)
}

/// The most pixels whose places are computed together.
pub(super) const RUN: usize = 32;

/// Where a run of pixels is read: (sy, sx) for each.
#[derive(Default)]
pub(super) struct PlaceRun {
    pub(super) sy: [f32; RUN],
    pub(super) sx: [f32; RUN],
}

/// An image and what lies outside of it. Its functions are those for images of `C` channels, or of any
/// number if it is 0: with a loop over channels whose number the compiler does not know, everything
/// takes about a third more time.
pub(super) struct SampledImage<'a> {
    pub(super) x: &'a [f32],
    pub(super) frame: &'a ImageFrame,
}

impl SampledImage<'_> {
    /// The channels at each of a run of places, of as many pixels as `out` has.
    #[inline(always)]
    pub(super) fn read<const C: usize>(&self, places: &PlaceRun, out: &mut [f32]) {
        match self.frame.sampling.interpolation {
            Resampling::Nearest => self.nearest::<C>(places, out),
            Resampling::Bilinear => self.bilinear::<C>(places, out),
        }
    }

    #[inline(always)]
    fn nearest<const C: usize>(&self, places: &PlaceRun, out: &mut [f32]) {
        let frame = self.frame;
        let pixels = out.chunks_exact_mut(frame.channels::<C>());
        for ((out, sy), sx) in pixels.zip(places.sy).zip(places.sx) {
            let [iy, ix] = [sy, sx].map(|s| (s + 0.5).floor() as i64);
            match frame.offset(frame.place(0, iy), frame.place(1, ix)) {
                Some(first) => out.copy_from_slice(&self.x[first..first + out.len()]),
                None => out.fill(frame.sampling.fill_value),
            }
        }
    }

    #[inline(always)]
    fn bilinear<const C: usize>(&self, places: &PlaceRun, out: &mut [f32]) {
        let [h, w, _] = self.frame.shape;
        let c = self.frame.channels::<C>();
        // Loops over whole vectors, without branches, around one that reads the pixels.
        let (mut fy, mut fx) = ([0.0; RUN], [0.0; RUN]);
        // The upper left one of each four pixels; -1 if one of them is outside.
        let mut firsts = [0; RUN];
        let (last_row, last_column) = ((h - 1) as f32, (w - 1) as f32);
        for i in 0..RUN {
            let (top, left) = (places.sy[i].floor(), places.sx[i].floor());
            (fy[i], fx[i]) = (places.sy[i] - top, places.sx[i] - left);
            let is_inside = (top >= 0.0) & (left >= 0.0) & (top < last_row) & (left < last_column);
            let [iy, ix] = [top, left].map(|s| integer(if is_inside { s } else { 0.0 }));
            let first = iy.wrapping_mul(w as i32).wrapping_add(ix);
            firsts[i] = if is_inside { first } else { -1 };
        }
        let below = &self.x[w * c..];
        let pixels = (out.len() / c).min(RUN);
        if c == 1 {
            let mut four = [[0.0; RUN]; 4];
            for i in 0..pixels {
                let [[a, b], [c, d]] = match usize::try_from(firsts[i]) {
                    Ok(first) => [self.x, below].map(|row| [row[first], row[first + 1]]),
                    Err(_) => self.around([places.sy[i], places.sx[i]], 0),
                };
                (four[0][i], four[1][i], four[2][i], four[3][i]) = (a, b, c, d);
            }
            let mut mixed = [0.0; RUN];
            for i in 0..RUN {
                let rows = [[four[0][i], four[1][i]], [four[2][i], four[3][i]]];
                mixed[i] = mix(rows, fy[i], fx[i]);
            }
            out.copy_from_slice(&mixed[..pixels]);
            return;
        }
        for (i, out) in out.chunks_exact_mut(c).enumerate().take(pixels) {
            match usize::try_from(firsts[i]) {
                Ok(first) => {
                    let rows = [self.x, below].map(|row| row[first * c..][..2 * c].split_at(c));
                    let [(a, b), (d, e)] = rows;
                    let pixels = a.iter().zip(b).zip(d.iter().zip(e));
                    for (out, ((a, b), (d, e))) in out.iter_mut().zip(pixels) {
                        *out = mix([[*a, *b], [*d, *e]], fy[i], fx[i]);
                    }
                }
                Err(_) => {
                    for (channel, out) in out.iter_mut().enumerate() {
                        let four = self.around([places.sy[i], places.sx[i]], channel);
                        *out = mix(four, fy[i], fx[i]);
                    }
                }
            }
        }
    }

    /// The four pixels around a place.
    #[inline(never)]
    fn around(&self, place: [f32; 2], channel: usize) -> [[f32; 2]; 2] {
        let frame = self.frame;
        let [iy, ix] = place.map(|s| i64::from(s.floor() as i32));
        let rows = [0, 1].map(|y| frame.place(0, iy + y));
        let columns = [0, 1].map(|x| frame.place(1, ix + x));
        let pixel = |iy, ix| match frame.offset(iy, ix) {
            Some(first) => self.x[first + channel],
            None => frame.sampling.fill_value,
        };
        rows.map(|iy| columns.map(|ix| pixel(iy, ix)))
    }
}

/// A whole number from 0 to 2^23: the compiler has no vectors for `as i32`, which also maps all others.
#[inline(always)]
fn integer(x: f32) -> i32 {
    const TWO_TO_23: f32 = 8_388_608.0;
    (x + TWO_TO_23).to_bits().wrapping_sub(TWO_TO_23.to_bits()) as i32
}

/// Four pixels in these shares of the lower and the right ones.
#[inline(always)]
fn mix(rows: [[f32; 2]; 2], fy: f32, fx: f32) -> f32 {
    let [top, bottom] = rows.map(|[left, right]| (1.0 - fx) * left + fx * right);
    (1.0 - fy) * top + fy * bottom
}

/// One image, read through its map.
struct Transform<'a> {
    image: SampledImage<'a>,
    /// Height and width of the result.
    to: [usize; 2],
    map: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        match self.image.frame.shape[2] {
            1 => self.run::<1>(),
            3 => self.run::<3>(),
            _ => self.run::<0>(),
        }
    }
}

impl Transform<'_> {
    #[inline(always)]
    fn run<const C: usize>(self) {
        let Self { image, to, map, y } = self;
        let [h, w, _] = image.frame.shape;
        let c = image.frame.channels::<C>();
        let centre = |len: usize| (len as f32 - 1.0) / 2.0;
        let (cy, cx) = (centre(h), centre(w));
        for (oy, row) in y.chunks_exact_mut(to[1] * c).enumerate() {
            let dy = oy as f32 - centre(to[0]);
            let (at_x, at_y) = (map[1] * dy + (map[2] + cx), map[4] * dy + (map[5] + cy));
            for (run, out) in row.chunks_mut(RUN * c).enumerate() {
                let mut places = PlaceRun::default();
                for i in 0..RUN {
                    // Converted from i32, for which the compiler has vectors.
                    let dx = (run * RUN + i) as i32 as f32 - centre(to[1]);
                    places.sy[i] = map[3] * dx + at_y;
                    places.sx[i] = map[0] * dx + at_x;
                }
                image.read::<C>(&places, out);
            }
        }
    }
}
