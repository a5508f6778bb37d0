//! Normal noise.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::AddNoise;

impl Definition for AddNoise {
    fn run(&self, m: &mut Memory<'_>) {
        let x = m.floats(self.x);
        let first = m.part.first * (x.len() / m.batch);
        let cells = x.iter().enumerate();
        let noisy = cells.map(|(i, &x)| {
            f64::from(x) + self.stddev * m.key.normal_of((first + i) as u32, self.draws.number)
        });
        let noisy = rounded(noisy.collect());
        m.put(self.y, noisy);
    }
}
