//! Gradient clipping; see [`Clip`] for the formulas.

use pulp::Arch;
use rayon::prelude::*;

use super::BatchWise;
use crate::exec::host::Memory;
use crate::optimizer::Clip;
use crate::plan::ClipGradients;

/// Elements per task.
const CHUNK: usize = 8192;

impl BatchWise for ClipGradients {
    fn run(&self, _arch: Arch, memory: &mut Memory<'_>) {
        let (gradients, norms) = (&self.gradients, self.norms);
        // Only a norm needs them.
        let squares: Vec<f64> = match norms {
            Some(_) => gradients
                .iter()
                .map(|&id| squares(memory.floats(id)))
                .collect(),
            None => vec![0.0; gradients.len()],
        };
        let all: f64 = squares.iter().sum();
        for (&id, &own) in gradients.iter().zip(&squares) {
            let mut gradient = memory.take(id);
            match self.clip {
                Clip::Value(bound) => {
                    let bound = bound as f32;
                    change(&mut gradient, |g| g.clamp(-bound, bound));
                }
                Clip::Norm(bound) => scale(&mut gradient, own.sqrt(), bound),
                Clip::GlobalNorm(bound) => scale(&mut gradient, all.sqrt(), bound),
            }
            memory.put(id, gradient);
        }
        if let Some(id) = norms {
            memory.put(id, squares.iter().map(|sum| sum.sqrt() as f32).collect());
        }
    }
}

/// The sum of squares, in an order independent of the number of threads.
fn squares(gradient: &[f32]) -> f64 {
    let chunks = gradient.par_chunks(CHUNK).map(squares_of_chunk);
    chunks.collect::<Vec<f64>>().iter().sum()
}

/// Sums in lanes, which the compiler vectorises.
fn squares_of_chunk(gradient: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for chunk in gradient.chunks(LANES) {
        for (sum, &g) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    sums.iter().sum()
}

/// Scales to a norm of at most `bound`.
fn scale(gradient: &mut [f32], norm: f64, bound: f64) {
    if norm <= bound {
        return;
    }
    let scale = if norm.is_finite() {
        (bound / norm) as f32
    } else {
        f32::NAN
    };
    change(gradient, |g| g * scale);
}

fn change(gradient: &mut [f32], new: impl Fn(f32) -> f32 + Sync) {
    let chunks = gradient.par_chunks_mut(CHUNK);
    chunks.for_each(|chunk| chunk.iter_mut().for_each(|g| *g = new(*g)));
}
