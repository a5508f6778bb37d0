//! Gradients that are too large; see [`Clip`] for the formulas.

use crate::exec::host::Memory;
use crate::optimizer::Clip;
use crate::plan::BufferId;

/// Clips the gradients, and stores the sums of their squares where these are wanted.
pub(super) fn run(
    clip: Clip,
    gradients: &[BufferId],
    squares: Option<BufferId>,
    memory: &mut Memory<'_>,
) {
    let bound = clip.bound() as f32;
    // Only a norm needs them.
    let sums: Vec<f64> = match squares {
        Some(_) => gradients
            .iter()
            .map(|&id| sum_of_squares(memory.floats(id)))
            .collect(),
        None => vec![0.0; gradients.len()],
    };
    let all: f64 = sums.iter().sum();
    for (&id, &own) in gradients.iter().zip(&sums) {
        let mut gradient = memory.take(id);
        let cells = gradient.iter_mut();
        match clip {
            Clip::Value(_) => cells.for_each(|g| *g = g.clamp(-bound, bound)),
            Clip::Norm(bound) => scale(cells, own, bound),
            Clip::GlobalNorm(bound) => scale(cells, all, bound),
        }
        memory.put(id, gradient);
    }
    if let Some(id) = squares {
        memory.put(id, sums.iter().map(|&sum| sum as f32).collect());
    }
}

/// In lanes, which the compiler makes vectors of; the order of the sum is always the same.
fn sum_of_squares(gradient: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for chunk in gradient.chunks(LANES) {
        for (sum, &g) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    sums.iter().sum()
}

/// Down to a norm of `bound`. A NaN stays one.
fn scale<'a>(cells: impl Iterator<Item = &'a mut f32>, squares: f64, bound: f64) {
    let norm = squares.sqrt();
    if norm <= bound {
        return;
    }
    let scale = (bound / norm) as f32;
    cells.for_each(|g| *g *= scale);
}
