//! Gathers a batch from the data set.

use pulp::Arch;

use super::rows::{RowBlock, RowWise};
use crate::data::dataset::PixelValues;
use crate::plan::Gather;

/// `x = image`, of bytes `/ 255`.
fn image(arch: Arch, image: PixelValues<'_>, x: &mut [f32]) {
    match image {
        PixelValues::Bytes(image) => arch.dispatch(|| {
            for (x, &byte) in x.iter_mut().zip(image) {
                *x = f32::from(byte) / 255.0;
            }
        }),
        PixelValues::Floats(image) => x.copy_from_slice(image),
    }
}

impl RowWise for Gather {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, memory) = (block.arch(), block.memory());
        block.write(self.x, |block, x| {
            block.write_words(self.labels, |block, labels| {
                let size = x.len() / labels.len();
                let rows = x.chunks_exact_mut(size).zip(labels);
                for (row, (x, label)) in block.rows().zip(rows) {
                    if row < memory.rows {
                        let (pixels, class) = memory.sample(row);
                        image(arch, pixels, x);
                        *label = class.into();
                    } else {
                        x.fill(0.0);
                        *label = 0;
                    }
                }
            });
        });
    }
}
