//! Affine maps of images.

use pulp::{Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{AffineMap, AffineTransform, DrawMaps};

impl RowWise for DrawMaps {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (key, rows) = (block.memory().key, block.rows());
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

/// An image and what lies outside of it. Its functions are those for images of `C` channels, or of any
/// number if it is 0: with a loop over channels whose number the compiler does not know, everything
/// takes about a third more time.
pub(super) struct SampledImage<'a> {
    pub(super) x: &'a [f32],
    pub(super) frame: &'a ImageFrame,
}

impl SampledImage<'_> {
    /// The channels at a place.
    #[inline(always)]
    pub(super) fn read<const C: usize>(&self, place: [f32; 2], out: &mut [f32]) {
        match self.frame.sampling.interpolation {
            Resampling::Nearest => self.nearest(place, out),
            Resampling::Bilinear => self.bilinear::<C>(place, out),
        }
    }

    #[inline(always)]
    fn nearest(&self, place: [f32; 2], out: &mut [f32]) {
        let [iy, ix] = place.map(|s| (s + 0.5).floor() as i64);
        let frame = self.frame;
        match frame.offset(frame.place(0, iy), frame.place(1, ix)) {
            Some(first) => out.copy_from_slice(&self.x[first..first + out.len()]),
            None => out.fill(frame.sampling.fill_value),
        }
    }

    #[inline(always)]
    fn bilinear<const C: usize>(&self, [sy, sx]: [f32; 2], out: &mut [f32]) {
        let [h, w, _] = self.frame.shape;
        let c = self.frame.channels::<C>();
        let out = &mut out[..c];
        let (top, left) = (sy.floor(), sx.floor());
        let (fy, fx) = (sy - top, sx - left);
        let mix = |pixels: [[f32; 2]; 2]| {
            let [top, bottom] = pixels.map(|[left, right]| (1.0 - fx) * left + fx * right);
            (1.0 - fy) * top + fy * bottom
        };
        let (iy, ix) = (top as i32, left as i32);
        let is_inside = iy >= 0 && ix >= 0 && iy < h as i32 - 1 && ix < w as i32 - 1;
        if is_inside {
            let first = (iy as usize * w + ix as usize) * c;
            let four = &self.x[first..first + (w + 2) * c];
            for (channel, out) in out.iter_mut().enumerate() {
                let at = |i: usize| four[i + channel];
                *out = mix([[at(0), at(c)], [at(w * c), at(w * c + c)]]);
            }
            return;
        }
        let frame = self.frame;
        let rows = [0, 1].map(|y| frame.place(0, i64::from(iy) + y));
        let columns = [0, 1].map(|x| frame.place(1, i64::from(ix) + x));
        let offsets = rows.map(|iy| columns.map(|ix| frame.offset(iy, ix)));
        for (channel, out) in out.iter_mut().enumerate() {
            let pixel = |offset: Option<usize>| match offset {
                Some(first) => self.x[first + channel],
                None => frame.sampling.fill_value,
            };
            *out = mix(offsets.map(|row| row.map(pixel)));
        }
    }
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
            for (ox, out) in row.chunks_exact_mut(c).enumerate() {
                let dx = ox as f32 - centre(to[1]);
                image.read::<C>([map[3] * dx + at_y, map[0] * dx + at_x], out);
            }
        }
    }
}
