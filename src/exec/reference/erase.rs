//! Erased areas.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::Erase;

impl Definition for Erase {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w, c] = self.shape;
        let [low, high] = self.areas.range;
        let mut y: Vec<f64> = m.floats(self.x).iter().map(|&x| f64::from(x)).collect();
        for (row, image) in y.chunks_exact_mut(h * w * c).enumerate() {
            let Some([rows, columns]) = self.area(m.key, m.part.first + row) else {
                continue;
            };
            for (i, pixel) in image.iter_mut().enumerate() {
                if rows.contains(&(i / (w * c))) && columns.contains(&(i / c % w)) {
                    let element = ((m.part.first + row) * h * w * c + i) as u32;
                    let noise = || high * m.key.normal_of(element, self.noise.number);
                    *pixel = self.areas.fill_value.unwrap_or_else(noise).clamp(low, high);
                }
            }
        }
        m.put(self.y, rounded(y));
    }
}
