//! How likely each point is to choose each other one as its neighbour.

use rayon::prelude::*;

use super::points::PointSet;

/// Steps of the search for a bandwidth.
const STEPS: usize = 64;
/// The largest difference of the logarithm of the perplexity at which the search ends.
const TOLERANCE: f64 = 1e-5;
/// The smallest probability, which keeps logarithms finite.
pub(super) const LEAST: f64 = 1e-12;

/// The symmetric probabilities of pairs of points, `[n, n]`, which sum to 1: each point chooses its
/// neighbours by a Gaussian around it, wide enough for `perplexity` neighbours.
pub(super) fn affinities(points: &PointSet, perplexity: f64) -> Vec<f64> {
    let n = points.n;
    let products = points.products();
    let row = |i: usize| {
        let squares = (0..n).map(|j| {
            let distance = products[i * n + i] + products[j * n + j] - 2.0 * products[i * n + j];
            distance.max(0.0)
        });
        neighbours(&squares.collect::<Vec<_>>(), i, perplexity.ln())
    };
    let one_way: Vec<f64> = (0..n).into_par_iter().flat_map_iter(row).collect();
    let both = |at: usize| {
        let (i, j) = (at / n, at % n);
        let sum = one_way[i * n + j] + one_way[j * n + i];
        if i == j {
            0.0
        } else {
            (sum / (2 * n) as f64).max(LEAST)
        }
    };
    (0..n * n).into_par_iter().map(both).collect()
}

/// The probabilities with which point `own` chooses the others, given the squared distances to all,
/// with this entropy.
fn neighbours(squares: &[f64], own: usize, entropy: f64) -> Vec<f64> {
    // Relative to the nearest one, so that not all weights are 0.
    let others = squares.iter().enumerate().filter(|(j, _)| *j != own);
    let nearest = others.map(|(_, d)| *d).fold(f64::INFINITY, f64::min);
    let mean = squares.iter().sum::<f64>() / squares.len().max(1) as f64;
    let (mut low, mut high) = (0.0, f64::INFINITY);
    let mut precision = 1.0 / mean.max(f64::MIN_POSITIVE);
    let mut found = vec![0.0; squares.len()];
    for _ in 0..STEPS {
        let reached = fill(&mut found, squares, (own, nearest), precision);
        if (reached - entropy).abs() < TOLERANCE {
            break;
        }
        if reached > entropy {
            low = precision;
        } else {
            high = precision;
        }
        let doubled = 2.0 * precision;
        precision = if high.is_finite() {
            f64::midpoint(low, high)
        } else {
            doubled
        };
        // Equal points are equally likely at any precision.
        if !precision.is_finite() {
            break;
        }
    }
    found
}

/// Sets the probabilities for a precision, and returns their entropy.
fn fill(found: &mut [f64], squares: &[f64], (own, nearest): (usize, f64), precision: f64) -> f64 {
    let (mut sum, mut energy) = (0.0, 0.0);
    for (j, (weight, square)) in found.iter_mut().zip(squares).enumerate() {
        if j != own {
            let above = square - nearest;
            *weight = libm::exp(-above * precision);
            sum += *weight;
            energy += *weight * above;
        }
    }
    let sum = sum.max(f64::MIN_POSITIVE);
    found.iter_mut().for_each(|weight| *weight /= sum);
    libm::log(sum) + precision * energy / sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_entropy_that_was_asked_for() {
        let squares: Vec<f64> = (0..50).map(|j| f64::from(j * j)).collect();
        let found = neighbours(&squares, 0, 5.0_f64.ln());
        let entropy: f64 = found
            .iter()
            .filter(|p| **p > 0.0)
            .map(|p| -p * p.ln())
            .sum();
        assert!((entropy.exp() - 5.0).abs() < 1e-3, "{}", entropy.exp());
        assert_eq!(found[0], 0.0);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn pairs_are_symmetric_and_sum_to_one() {
        let values: Vec<f32> = (0..20).map(|i| (i * i % 7) as f32).collect();
        let points = PointSet::new(&values, 2).unwrap();
        let found = affinities(&points, 3.0);
        assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!((0..100).all(|at| found[at] == found[at % 10 * 10 + at / 10]));
    }

    #[test]
    fn equal_points_are_equally_likely() {
        let points = PointSet::new(&[1.0; 8], 2).unwrap();
        let found = affinities(&points, 2.0);
        assert!((0..16).all(|at| at / 4 == at % 4 || (found[at] - 1.0 / 12.0).abs() < 1e-9));
    }
}
