//! Rescaling.

use super::rows::{RowBlock, RowWise};
use crate::plan::Rescale;

impl RowWise for Rescale {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        block.write(self.y, |block, y| {
            for (x, y) in block.floats(self.x).iter().zip(&mut *y) {
                *y = self.scale * x + self.offset;
            }
            block.through(self.through, y);
        });
    }
}
