//! MixUp and CutMix.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::{DrawMixes, MixRows, MixedRow};

impl Definition for DrawMixes {
    fn run(&self, m: &mut Memory<'_>) {
        let rows = (m.part.first, m.rows);
        let [mixes, targets] = self.fill(m.key, rows, m.words(self.labels));
        m.put_words(self.mixes, mixes);
        m.put_words(self.targets, targets);
    }
}

impl Definition for MixRows {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w, c] = self.shape;
        let (x, mixes) = (m.floats(self.x), m.words(self.mixes));
        let mut y = Vec::with_capacity(x.len());
        for (row, words) in mixes.chunks_exact(DrawMixes::LEN).enumerate() {
            let mixed = MixedRow::of_words(words);
            let share = f64::from(mixed.own());
            let [rows, columns] = mixed.area;
            for i in 0..h * w * c {
                let pixel = |row: usize| f64::from(x[row * h * w * c + i]);
                let (own, other) = (pixel(row), pixel(mixed.partner));
                let is_within = rows.contains(&(i / (w * c))) && columns.contains(&(i / c % w));
                y.push(match is_within {
                    true => other,
                    false if share == 1.0 => own,
                    false => share * own + (1.0 - share) * other,
                });
            }
        }
        m.put(self.y, rounded(y));
    }
}
