//! Dropout.

use pulp::{Simd, WithSimd};

use super::rows::{RowBlock, RowWise};
use super::scratch;
use crate::plan::{Dropout, DropoutMask};
use crate::rng::Key;

/// The factors of one row: the scale for cells that are kept, and 0 for those that are dropped. A
/// type and not a closure, as the compiler would draw number by number in a closure that it does
/// not inline.
struct DrawFactors<'a> {
    mask: &'a DropoutMask,
    key: Key,
    first: u32,
    factors: &'a mut [f32],
}

impl WithSimd for DrawFactors<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Self { mask, key, .. } = self;
        let (threshold, scale) = (mask.threshold(), mask.scale() as f32);
        for (i, factor) in self.factors.iter_mut().enumerate() {
            let draw = self.first.wrapping_add(i as u32);
            let keeps = key.bits_of(draw, mask.number) >= threshold;
            *factor = if keeps { scale } else { 0.0 };
        }
    }
}

/// `y = x * factors`, repeated for each place, such as a pixel.
struct Apply<'a> {
    factors: &'a [f32],
    x: &'a [f32],
    y: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let width = self.factors.len();
        let places = self.x.chunks_exact(width);
        for (x, y) in places.zip(self.y.chunks_exact_mut(width)) {
            for ((x, y), factor) in x.iter().zip(y).zip(self.factors) {
                // Not a product: a dropped element may be NaN.
                *y = if *factor > 0.0 { factor * x } else { 0.0 };
            }
        }
    }
}

impl RowWise for Dropout {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let mask = &self.mask;
        let (arch, key) = (block.arch(), block.memory().key);
        let first = block.places().start;
        block.write(self.y, |block, y| {
            let x = block.floats(self.x).chunks_exact(mask.size);
            scratch::with(mask.width, |factors| {
                for (row, (x, y)) in x.zip(y.chunks_exact_mut(mask.size)).enumerate() {
                    let first = ((first + row) * mask.width) as u32;
                    arch.dispatch(DrawFactors {
                        mask,
                        key,
                        first,
                        factors,
                    });
                    arch.dispatch(Apply { factors, x, y });
                }
            });
            block.through(self.through, y);
        });
    }
}
