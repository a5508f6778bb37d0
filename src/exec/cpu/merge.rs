//! Sums and concatenations, row by row.

use super::rows::{RowBlock, RowWise};
use crate::plan::{AddOp, ConcatenateBackward, ConcatenateForward};

impl RowWise for AddOp {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let arch = block.arch();
        block.write(self.y, |block, y| {
            let (a, b) = (block.floats(self.a), block.floats(self.b));
            arch.dispatch(|| {
                for ((y, a), b) in y.iter_mut().zip(a).zip(b) {
                    *y = a + b;
                }
            });
        });
    }
}

impl RowWise for ConcatenateForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let [front, behind] = self.widths;
        block.write(self.y, |block, y| {
            let rows = block.floats(self.a).chunks_exact(front);
            let rows = rows.zip(block.floats(self.b).chunks_exact(behind));
            for (y, (a, b)) in y.chunks_exact_mut(front + behind).zip(rows) {
                let (first, second) = y.split_at_mut(front);
                first.copy_from_slice(a);
                second.copy_from_slice(b);
            }
        });
    }
}

impl RowWise for ConcatenateBackward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let [width, whole] = self.widths;
        block.write(self.dx, |block, dx| {
            let rows = block.floats(self.dy).chunks_exact(whole);
            for (dx, dy) in dx.chunks_exact_mut(width).zip(rows) {
                dx.copy_from_slice(&dy[self.first..self.first + width]);
            }
            block.through(self.through, dx);
        });
    }
}
