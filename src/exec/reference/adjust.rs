//! Contrast and brightness.

use super::{Definition, rounded};
use crate::exec::host::Memory;
use crate::plan::{AdjustBrightness, AdjustContrast};

/// NaN stays NaN.
fn clip(x: f64, [low, high]: [f64; 2]) -> f64 {
    x.clamp(low, high)
}

impl Definition for AdjustContrast {
    fn run(&self, m: &mut Memory<'_>) {
        let [h, w, c] = self.shape;
        let images = m.floats(self.x).chunks_exact(h * w * c);
        let adjusted = images.enumerate().flat_map(|(row, x)| {
            let scale = self.scale(m.key, m.part.first + row);
            let mean = |channel: usize| {
                let pixels = x.iter().skip(channel).step_by(c);
                pixels.map(|&x| f64::from(x)).sum::<f64>() / (h * w) as f64
            };
            let means: Vec<f64> = (0..c).map(mean).collect();
            let cells = x.iter().enumerate();
            let adjusted = cells.map(move |(i, &x)| {
                let mean = means[i % c];
                clip((f64::from(x) - mean) * scale + mean, self.range)
            });
            adjusted.collect::<Vec<_>>()
        });
        let adjusted = rounded(adjusted.collect());
        m.put(self.y, adjusted);
    }
}

impl Definition for AdjustBrightness {
    fn run(&self, m: &mut Memory<'_>) {
        let x = m.floats(self.x);
        let size = x.len() / m.batch;
        let cells = x.iter().enumerate();
        let adjusted = cells.map(|(i, &x)| {
            let delta = self.delta(m.key, m.part.first + i / size);
            clip(f64::from(x) + delta, self.range)
        });
        let adjusted = rounded(adjusted.collect());
        m.put(self.y, adjusted);
    }
}
