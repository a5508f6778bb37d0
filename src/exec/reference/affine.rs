//! Affine maps of images.

use super::{Definition, at, rounded};
use crate::exec::host::Memory;
use crate::model::{FillMode, Resampling, Sampling};
use crate::plan::{AffineMap, AffineTransform, DrawMaps};

impl Definition for DrawMaps {
    fn run(&self, m: &mut Memory<'_>) {
        let rows = (0..m.batch).flat_map(|row| self.map(m.key, m.part.first + row).row());
        let rows = rows.collect();
        m.put(self.maps, rows);
    }
}

impl Definition for AffineTransform {
    fn run(&self, m: &mut Memory<'_>) {
        let size: usize = self.shape.iter().product();
        let images = m.floats(self.x).chunks_exact(size);
        let maps = m.floats(self.maps).chunks_exact(AffineMap::LEN);
        let moved = images.zip(maps);
        let moved =
            moved.flat_map(|(x, map)| transform(x, self.shape, self.to, &self.sampling, map));
        let moved = rounded(moved.collect());
        m.put(self.y, moved);
    }
}

/// One image, read through its map.
pub(super) fn transform(
    x: &[f32],
    [h, w, c]: [usize; 3],
    [oh, ow]: [usize; 2],
    sampling: &Sampling,
    map: &[f32],
) -> Vec<f64> {
    let number = |i: usize| f64::from(map[i]);
    let centre = |len: usize| (len as f64 - 1.0) / 2.0;
    let (cy, cx) = (centre(h), centre(w));
    let mut y = Vec::with_capacity(oh * ow * c);
    for oy in 0..oh {
        for ox in 0..ow {
            let (dy, dx) = (oy as f64 - centre(oh), ox as f64 - centre(ow));
            let sx = number(0) * dx + number(1) * dy + number(2) + cx;
            let sy = number(3) * dx + number(4) * dy + number(5) + cy;
            for channel in 0..c {
                y.push(pixel_at(x, [h, w, c], sampling, [sy, sx], channel));
            }
        }
    }
    y
}

/// What a channel of an image is at a place.
pub(super) fn pixel_at(
    x: &[f32],
    [h, w, c]: [usize; 3],
    sampling: &Sampling,
    [sy, sx]: [f64; 2],
    channel: usize,
) -> f64 {
    let pixel = |iy: i64, ix: i64| {
        let place = |i, len| FillMode::index(sampling.fill_mode, i, len);
        match place(iy, h).zip(place(ix, w)) {
            Some((iy, ix)) => f64::from(x[at([1, h, w, c], [0, iy, ix, channel])]),
            None => f64::from(sampling.fill_value),
        }
    };
    match sampling.interpolation {
        Resampling::Nearest => {
            let nearest = |s: f64| (s + 0.5).floor() as i64;
            pixel(nearest(sy), nearest(sx))
        }
        Resampling::Bilinear => {
            let (fy, fx) = (sy - sy.floor(), sx - sx.floor());
            let (iy, ix) = (sy.floor() as i64, sx.floor() as i64);
            let row = |iy| (1.0 - fx) * pixel(iy, ix) + fx * pixel(iy, ix + 1);
            (1.0 - fy) * row(iy) + fy * row(iy + 1)
        }
    }
}
