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
        block.write(self.y, |block, y| {
            let images = block.floats(self.x).chunks_exact(size);
            let maps = block.floats(self.maps).chunks_exact(AffineMap::LEN);
            for ((x, map), y) in images.zip(maps).zip(y.chunks_exact_mut(size)) {
                arch.dispatch(Transform {
                    image: SampledImage {
                        x,
                        shape: self.shape,
                        sampling: self.sampling,
                    },
                    map,
                    y,
                });
            }
        });
    }
}

/// An image and what lies outside of it.
struct SampledImage<'a> {
    x: &'a [f32],
    shape: [usize; 3],
    sampling: Sampling,
}

impl SampledImage<'_> {
    /// A pixel anywhere.
    #[inline(never)]
    fn at(&self, iy: i64, ix: i64, channel: usize) -> f32 {
        let [h, w, c] = self.shape;
        let place = |i, len| FillMode::index(self.sampling.fill_mode, i, len);
        match place(iy, h).zip(place(ix, w)) {
            Some((iy, ix)) => self.x[(iy * w + ix) * c + channel],
            None => self.sampling.fill_value,
        }
    }
}

/// One image, read through its map.
struct Transform<'a> {
    image: SampledImage<'a>,
    map: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { image, map, y } = self;
        let [h, w, c] = image.shape;
        let (cy, cx) = ((h as f32 - 1.0) / 2.0, (w as f32 - 1.0) / 2.0);
        for (oy, row) in y.chunks_exact_mut(w * c).enumerate() {
            let dy = oy as f32 - cy;
            let (at_x, at_y) = (map[1] * dy + (map[2] + cx), map[4] * dy + (map[5] + cy));
            for (ox, out) in row.chunks_exact_mut(c).enumerate() {
                let dx = ox as f32 - cx;
                let (sx, sy) = (map[0] * dx + at_x, map[3] * dx + at_y);
                match image.sampling.interpolation {
                    Resampling::Nearest => {
                        let nearest = |s: f32| (s + 0.5).floor() as i64;
                        let (iy, ix) = (nearest(sy), nearest(sx));
                        for (channel, out) in out.iter_mut().enumerate() {
                            *out = image.at(iy, ix, channel);
                        }
                    }
                    Resampling::Bilinear => bilinear(&image, [sy, sx], out),
                }
            }
        }
    }
}

/// The channels at a place between pixels.
#[inline(always)]
fn bilinear(image: &SampledImage<'_>, [sy, sx]: [f32; 2], out: &mut [f32]) {
    let [h, w, c] = image.shape;
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
        let four = &image.x[first..first + (w + 2) * c];
        for (channel, out) in out.iter_mut().enumerate() {
            let at = |i: usize| four[i + channel];
            *out = mix([[at(0), at(c)], [at(w * c), at(w * c + c)]]);
        }
        return;
    }
    let (iy, ix) = (i64::from(iy), i64::from(ix));
    for (channel, out) in out.iter_mut().enumerate() {
        let at = |y, x| image.at(iy + y, ix + x, channel);
        *out = mix([[at(0, 0), at(0, 1)], [at(1, 0), at(1, 1)]]);
    }
}
