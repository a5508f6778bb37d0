//! Erased areas.

use super::noise::DrawNormals;
use super::rows::{RowBlock, RowWise};
use crate::plan::Erase;

impl RowWise for Erase {
    fn run(&self, block: &mut RowBlock<'_, '_, '_>) {
        let (arch, key) = (block.arch(), block.memory().key);
        let [h, w, c] = self.shape;
        let [low, high] = self.areas.range.map(|end| end as f32);
        let numbers = block.places();
        block.write(self.y, |block, y| {
            y.copy_from_slice(block.floats(self.x));
            for (row, image) in numbers.zip(y.chunks_exact_mut(h * w * c)) {
                let Some([rows, columns]) = self.area(key, row) else {
                    continue;
                };
                for iy in rows {
                    let start = (iy * w + columns.start) * c;
                    let pixels = &mut image[start..(iy * w + columns.end) * c];
                    if let Some(value) = self.areas.fill_value {
                        pixels.fill((value as f32).clamp(low, high));
                        continue;
                    }
                    arch.dispatch(DrawNormals {
                        key,
                        draws: self.noise,
                        first: (row * h * w * c + start) as u32,
                        out: pixels,
                    });
                    for pixel in pixels {
                        *pixel = (high * *pixel).clamp(low, high);
                    }
                }
            }
        });
    }
}
