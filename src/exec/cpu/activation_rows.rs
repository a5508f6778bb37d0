//! Pointwise activations, row by row.

use super::activation::forward;
use super::rows::{RowBlock, RowWise};
use crate::plan::{ActivationBackward, ActivationForward};

impl RowWise for ActivationForward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let arch = block.arch();
        block.write(self.y, |block, y| {
            forward(arch, self.activation, block.floats(self.x), y);
        });
    }
}

impl RowWise for ActivationBackward {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        block.write(self.dx, |block, dx| {
            dx.copy_from_slice(block.floats(self.dy));
            block.through(Some(self.through), dx);
        });
    }
}
