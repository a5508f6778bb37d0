//! Elastic transformations.

use super::affine::pixel_at;
use super::{Definition, at, rounded};
use crate::exec::host::Memory;
use crate::plan::{BlurNoise, DisplacePixels, DrawNoise};

impl Definition for DrawNoise {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w] = self.size;
        let mut noise = Vec::with_capacity(m.batch * 2 * h * w);
        for row in m.part.first..m.part.first + m.batch {
            let acts = self.acts_on(m.key, row);
            for series in self.series {
                let number = |p: usize| m.key.normal_of((row * h * w + p) as u32, series.number);
                noise.extend((0..h * w).map(|p| if acts { number(p) } else { 0.0 }));
            }
        }
        m.put(self.noise, rounded(noise));
    }
}

impl Definition for BlurNoise {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w] = self.size;
        let blur = self.blur(m.key);
        let weights = blur.weights();
        let noise = m.floats(self.noise);
        let near =
            |o: usize, len: usize| o.saturating_sub(blur.reach)..(o + blur.reach + 1).min(len);
        let mut fields = Vec::with_capacity(noise.len());
        for row in 0..m.batch {
            for oy in 0..h {
                for ox in 0..w {
                    for axis in 0..2 {
                        let mut sum = 0.0;
                        for iy in near(oy, h) {
                            for ix in near(ox, w) {
                                let weight = weights[iy.abs_diff(oy)] * weights[ix.abs_diff(ox)];
                                let pixel = at([m.batch, 2, h, w], [row, axis, iy, ix]);
                                sum += weight * f64::from(noise[pixel]);
                            }
                        }
                        fields.push(blur.strength * sum);
                    }
                }
            }
        }
        m.put(self.fields, rounded(fields));
    }
}

impl Definition for DisplacePixels {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w, c] = self.shape;
        let [low, high] = self.range;
        let (x, fields) = (m.floats(self.x), m.floats(self.fields));
        let mut y = Vec::with_capacity(x.len());
        for (x, fields) in x
            .chunks_exact(h * w * c)
            .zip(fields.chunks_exact(h * w * 2))
        {
            for (p, by) in fields.chunks_exact(2).enumerate() {
                let sx = (p % w) as f64 + f64::from(by[0]);
                let sy = (p / w) as f64 + f64::from(by[1]);
                for channel in 0..c {
                    let pixel = pixel_at(x, self.shape, &self.sampling, [sy, sx], channel);
                    y.push(pixel.clamp(low, high));
                }
            }
        }
        m.put(self.y, rounded(y));
    }
}
