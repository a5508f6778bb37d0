//! Normal noise.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::AddNoise;

impl Definition for AddNoise {
    fn run(&self, m: &mut Memory<'_>) {
        let cells = m.floats(self.x).iter().enumerate();
        let noisy = cells.map(|(i, &x)| {
            f64::from(x) + self.stddev * m.key.normal_of(i as u32, self.draws.number)
        });
        let noisy = rounded(noisy.collect());
        m.put(self.y, noisy);
    }
}
