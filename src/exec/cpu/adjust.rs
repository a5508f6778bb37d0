//! Contrast and brightness.

use pulp::{Arch, Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use crate::plan::{AdjustBrightness, AdjustContrast};

/// Partial sums of a channel, whatever the length of vectors is, so that it has no influence.
const LANES: usize = 16;

/// Pixels that are summed in f32, of which each lane has few enough.
const BLOCK: usize = 4096;

/// The sum of the pixels of an image with one channel: blocks in f32, and their sums in f64.
struct PlainSum<'a>(&'a [f32]);

impl WithSimd for PlainSum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f64 {
        self.0
            .chunks(BLOCK)
            .map(|block| f64::from(Self::block(block)))
            .sum()
    }
}

impl PlainSum<'_> {
    #[inline(always)]
    fn block(pixels: &[f32]) -> f32 {
        let mut sums = [0.0_f32; LANES];
        let chunks = pixels.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().sum();
        for chunk in chunks {
            for (sum, x) in sums.iter_mut().zip(chunk) {
                *sum += x;
            }
        }
        sums.iter().sum::<f32>() + rest
    }
}

/// `y = clip(x * scale + offset)`.
struct Adjust<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scale: f32,
    offset: f32,
    range: [f32; 2],
}

impl WithSimd for Adjust<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let [low, high] = self.range;
        for (y, x) in self.y.iter_mut().zip(self.x) {
            *y = (self.scale * x + self.offset).clamp(low, high);
        }
    }
}

/// `y = clip((x - mean) * scale + mean)` for an image of several channels.
fn channels(x: &[f32], y: &mut [f32], c: usize, scale: f32, [low, high]: [f32; 2]) {
    let count = (x.len() / c) as f64;
    for channel in 0..c {
        let pixels = x.iter().skip(channel).step_by(c);
        let mean = (pixels.clone().map(|&x| f64::from(x)).sum::<f64>() / count) as f32;
        let offset = mean - scale * mean;
        for (y, x) in y.iter_mut().skip(channel).step_by(c).zip(pixels) {
            *y = (scale * x + offset).clamp(low, high);
        }
    }
}

impl RowWise for AdjustContrast {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, key): (Arch, _) = (block.arch(), block.memory().key);
        let size: usize = self.shape.iter().product();
        let [_, _, c] = self.shape;
        let range = self.range.map(|end| end as f32);
        let rows = block.places();
        block.write(self.y, |block, y| {
            let images = block.floats(self.x).chunks_exact(size);
            for ((row, x), y) in rows.zip(images).zip(y.chunks_exact_mut(size)) {
                let scale = self.scale(key, row) as f32;
                if c > 1 {
                    channels(x, y, c, scale, range);
                    continue;
                }
                let mean = (arch.dispatch(PlainSum(x)) / size as f64) as f32;
                let offset = mean - scale * mean;
                arch.dispatch(Adjust {
                    x,
                    y,
                    scale,
                    offset,
                    range,
                });
            }
        });
    }
}

impl RowWise for AdjustBrightness {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, key) = (block.arch(), block.memory().key);
        let range = self.range.map(|end| end as f32);
        let rows = block.places();
        block.write(self.y, |block, y| {
            let size = y.len() / rows.len();
            let images = block.floats(self.x).chunks_exact(size);
            for ((row, x), y) in rows.zip(images).zip(y.chunks_exact_mut(size)) {
                let offset = self.delta(key, row) as f32;
                arch.dispatch(Adjust {
                    x,
                    y,
                    scale: 1.0,
                    offset,
                    range,
                });
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_large_image_is_as_accurate_as_that_of_a_small_one() {
        for size in [1, 15, 784, BLOCK, BLOCK + 1, 2048 * 2048] {
            // 0.1 is no f32, so that a sum of them in f32 drifts.
            let pixels = vec![0.1_f32; size];
            let sum = Arch::new().dispatch(PlainSum(&pixels));
            let error = (sum / size as f64 - f64::from(0.1_f32)).abs();
            assert!(error < 5e-7, "{size}: {error}");
        }
    }
}
