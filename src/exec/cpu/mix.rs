//! MixUp and CutMix, which read several rows at once.

use pulp::Arch;
use rayon::prelude::*;

use super::BatchWise;
use crate::exec::host::Memory;
use crate::plan::{DrawMixes, MixRows, MixedRow};

impl BatchWise for DrawMixes {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        let rows = (memory.part.first, memory.rows);
        let [mixes, targets] = self.fill(memory.key, rows, memory.words(self.labels));
        memory.put_words(self.mixes, mixes);
        memory.put_words(self.targets, targets);
    }
}

impl BatchWise for MixRows {
    fn run(&self, arch: Arch, memory: &mut Memory<'_>) {
        let size: usize = self.shape.iter().product();
        let mut y = memory.take(self.y);
        let (x, mixes) = (memory.floats(self.x), memory.words(self.mixes));
        let rows = y.par_chunks_exact_mut(size).enumerate();
        rows.zip(mixes.par_chunks_exact(DrawMixes::LEN))
            .for_each(|((row, y), words)| {
                let mixed = MixedRow::of_words(words);
                let image = |row: usize| &x[row * size..][..size];
                mix(
                    arch,
                    self.shape,
                    &mixed,
                    [image(row), image(mixed.partner)],
                    y,
                );
            });
        memory.put(self.y, y);
    }
}

/// Mixes one image with another.
fn mix(
    arch: Arch,
    [_, w, c]: [usize; 3],
    mixed: &MixedRow,
    [own, other]: [&[f32]; 2],
    y: &mut [f32],
) {
    let share = mixed.own();
    match share {
        1.0 => y.copy_from_slice(own),
        _ => arch.dispatch(|| {
            for (y, (own, other)) in y.iter_mut().zip(own.iter().zip(other)) {
                *y = share * own + (1.0 - share) * other;
            }
        }),
    }
    let [rows, columns] = mixed.area.clone();
    for row in rows {
        let part = (row * w + columns.start) * c..(row * w + columns.end) * c;
        y[part.clone()].copy_from_slice(&other[part]);
    }
}
