//! Sums and concatenations.

use super::{Definition, put_gradient, rounded};
use crate::exec::host::Memory;
use crate::plan::{AddOp, ConcatenateBackward, ConcatenateForward};

impl Definition for AddOp {
    fn run(&self, m: &mut Memory<'_>) {
        let cells = m.floats(self.a).iter().zip(m.floats(self.b));
        let sums = cells.map(|(&a, &b)| f64::from(a) + f64::from(b));
        let sums = rounded(sums.collect());
        m.put(self.y, sums);
    }
}

impl Definition for ConcatenateForward {
    fn run(&self, m: &mut Memory<'_>) {
        let [front, behind] = self.widths;
        let rows = (m.floats(self.a).chunks(front)).zip(m.floats(self.b).chunks(behind));
        let y = rows.flat_map(|(a, b)| [a, b].concat()).collect();
        m.put(self.y, y);
    }
}

impl Definition for ConcatenateBackward {
    fn run(&self, m: &mut Memory<'_>) {
        let [width, whole] = self.widths;
        let own = |row: &[f32]| row[self.first..self.first + width].to_vec();
        let cells = m.floats(self.dy).chunks(whole).flat_map(own);
        let dx = cells.map(f64::from).collect();
        put_gradient(m, self.dx, dx, self.through.as_ref());
    }
}
