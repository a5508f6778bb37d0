//! Elastic transformations.

use pulp::{Simd, WithSimd};

use super::affine::{ImageFrame, PlaceRun, RUN, SampledImage};
use super::noise::DrawNormals;
use super::rows::{RowBlock, RowWise};
use crate::plan::{BlurNoise, DisplacePixels, DrawNoise};

/// A blur of an image along both axes, with zeros around it.
struct BlurImage<'a> {
    width: usize,
    /// The kernel from its middle on.
    weights: &'a [f32],
    noise: &'a [f32],
    /// Blurred along rows, and along both axes: as long as the noise.
    between: &'a mut [f32],
    image: &'a mut [f32],
}

impl WithSimd for BlurImage<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self {
            width,
            weights,
            noise,
            between,
            image,
        } = self;
        let rows = image.len() / width;
        between.fill(0.0);
        for (from, to) in noise
            .chunks_exact(width)
            .zip(between.chunks_exact_mut(width))
        {
            for (d, weight) in weights.iter().enumerate().take(width) {
                add(&mut to[..width - d], &from[d..], *weight);
                if d > 0 {
                    add(&mut to[d..], &from[..width - d], *weight);
                }
            }
        }
        image.fill(0.0);
        for (d, weight) in weights.iter().enumerate().take(rows) {
            let (near, far) = (d * width, (rows - d) * width);
            add(&mut image[..far], &between[near..], *weight);
            if d > 0 {
                add(&mut image[near..], &between[..far], *weight);
            }
        }
    }
}

#[inline(always)]
fn add(to: &mut [f32], from: &[f32], weight: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += weight * from;
    }
}

impl RowWise for DrawNoise {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, key) = (block.arch(), block.memory().key);
        let size = self.size[0] * self.size[1];
        let rows = block.places();
        block.write(self.noise, |_, noise| {
            for (row, noise) in rows.zip(noise.chunks_exact_mut(2 * size)) {
                if !self.acts_on(key, row) {
                    noise.fill(0.0);
                    continue;
                }
                for (draws, out) in self.series.into_iter().zip(noise.chunks_exact_mut(size)) {
                    arch.dispatch(DrawNormals {
                        key,
                        draws,
                        first: (row * size) as u32,
                        out,
                    });
                }
            }
        });
    }
}

impl RowWise for BlurNoise {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, blur) = (block.arch(), self.blur(block.memory().key));
        let [h, w] = self.size;
        let weights: Vec<f32> = blur.weights().into_iter().map(|x| x as f32).collect();
        let strength = blur.strength as f32;
        block.write(self.fields, |block, fields| {
            let (mut image, mut between) = (vec![0.0; h * w], vec![0.0; h * w]);
            let noise = block.floats(self.noise).chunks_exact(2 * h * w);
            for (noise, fields) in noise.zip(fields.chunks_exact_mut(2 * h * w)) {
                for (axis, noise) in noise.chunks_exact(h * w).enumerate() {
                    arch.dispatch(BlurImage {
                        width: w,
                        weights: &weights,
                        noise,
                        between: &mut between,
                        image: &mut image,
                    });
                    let of_axis = fields.iter_mut().skip(axis).step_by(2);
                    for (field, blurred) in of_axis.zip(&image) {
                        *field = strength * blurred;
                    }
                }
            }
        });
    }
}

/// One image, read at the places of its field.
struct Displace<'a> {
    image: SampledImage<'a>,
    width: usize,
    fields: &'a [f32],
    range: [f32; 2],
    y: &'a mut [f32],
}

impl WithSimd for Displace<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        match self.image.frame.channels::<0>() {
            1 => self.run::<1>(),
            3 => self.run::<3>(),
            _ => self.run::<0>(),
        }
    }
}

impl Displace<'_> {
    #[inline(always)]
    fn run<const C: usize>(self) {
        let (w, c) = (self.width, self.image.frame.channels::<C>());
        let [low, high] = self.range;
        let rows = (self.y.chunks_exact_mut(w * c)).zip(self.fields.chunks_exact(2 * w));
        for (oy, (row, fields)) in rows.enumerate() {
            let runs = row.chunks_mut(RUN * c).zip(fields.chunks(2 * RUN));
            for (run, (out, fields)) in runs.enumerate() {
                let mut places = PlaceRun::default();
                for (i, by) in fields.chunks_exact(2).enumerate() {
                    places.sy[i] = oy as f32 + by[1];
                    places.sx[i] = (run * RUN + i) as f32 + by[0];
                }
                self.image.read::<C>(&places, out);
                for out in out {
                    *out = out.clamp(low, high);
                }
            }
        }
    }
}

impl RowWise for DisplacePixels {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let arch = block.arch();
        let size: usize = self.shape.iter().product();
        let [h, w, _] = self.shape;
        let frame = ImageFrame::new(self.shape, self.sampling);
        let range = self.range.map(|end| end as f32);
        block.write(self.y, |block, y| {
            let images = block.floats(self.x).chunks_exact(size);
            let fields = block.floats(self.fields).chunks_exact(2 * h * w);
            for ((x, fields), y) in images.zip(fields).zip(y.chunks_exact_mut(size)) {
                arch.dispatch(Displace {
                    image: SampledImage { x, frame: &frame },
                    width: w,
                    fields,
                    range,
                    y,
                });
            }
        });
    }
}
