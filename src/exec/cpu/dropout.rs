//! Dropout.

use pulp::Arch;

use super::rows::{Block, RowWise};
use super::scratch;
use crate::plan::{Dropout, DropoutMask};
use crate::rng::Key;

/// `y = dropout(x)` of some rows; `first` is the index of the first one in the batch.
fn apply(arch: Arch, mask: &DropoutMask, (key, first): (Key, usize), x: &[f32], y: &mut [f32]) {
    let (threshold, scale) = (mask.threshold(), mask.scale() as f32);
    scratch::with(mask.width, |factors| {
        let rows = x.chunks_exact(mask.size);
        for (row, (x, y)) in rows.zip(y.chunks_exact_mut(mask.size)).enumerate() {
            let draws = ((first + row) * mask.width) as u32;
            arch.dispatch(|| {
                for (draw, factor) in (draws..).zip(&mut *factors) {
                    let keeps = key.bits_of(draw, mask.number) >= threshold;
                    *factor = if keeps { scale } else { 0.0 };
                }
                let places = x.chunks_exact(mask.width);
                for (x, y) in places.zip(y.chunks_exact_mut(mask.width)) {
                    for ((x, y), factor) in x.iter().zip(y).zip(&*factors) {
                        // Not a product: a dropped element may be NaN.
                        *y = if *factor > 0.0 { factor * x } else { 0.0 };
                    }
                }
            });
        }
    });
}

impl RowWise for Dropout {
    fn run(&self, block: &mut Block<'_, '_, '_>) {
        let (arch, draws) = (block.arch(), (block.memory().key, block.rows().start));
        block.write(self.y, |block, y| {
            apply(arch, &self.mask, draws, block.floats(self.x), y);
            block.through(self.through, y);
        });
    }
}
