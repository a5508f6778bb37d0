//! The largest eigenvalues of a symmetric matrix, with their eigenvectors.

use rayon::prelude::*;

use super::points::dot;
use crate::rng::{Key, Stream};

/// Vectors that are iterated in addition to those that are wanted, which speeds up convergence.
const EXTRA: usize = 8;
/// The most iterations; eigenvectors whose eigenvalues are nearly equal may not have converged then,
/// but span the same plane as the exact ones.
const ITERATIONS: usize = 300;
/// The largest change of an eigenvalue, relative to the largest one, at which the iteration ends.
const TOLERANCE: f64 = 1e-12;

/// The `wanted` largest eigenvalues of a symmetric, positive semidefinite matrix `[m, m]`, largest
/// first, with unit eigenvectors; fewer if `m` is smaller. By subspace iteration (Rutishauser, 1969)
/// from a fixed start, so that the same matrix gives the same bytes.
pub(super) fn largest(matrix: &[f64], m: usize, wanted: usize) -> Vec<(f64, Vec<f64>)> {
    let size = (wanted + EXTRA).min(m);
    let mut vectors: Vec<Vec<f64>> = (0..size).map(|i| start(m, i)).collect();
    orthonormalize(&mut vectors);
    let mut values = vec![0.0; size];
    for _ in 0..ITERATIONS {
        let images = images(matrix, m, &vectors);
        let (found, rotation) = rotate(&vectors, &images);
        let scale = found.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let change = found
            .iter()
            .zip(&values)
            .map(|(a, b): (&f64, &f64)| (a - b).abs());
        let change = change.take(wanted).fold(0.0, f64::max) / scale;
        values = found;
        vectors = combined(&images, &rotation);
        orthonormalize(&mut vectors);
        if change < TOLERANCE {
            break;
        }
    }
    values.into_iter().zip(vectors).take(wanted).collect()
}

/// A vector to start with.
fn start(m: usize, number: usize) -> Vec<f64> {
    let key = Key::new(0).stream(Stream::Check, number as u32);
    (0..m as u32)
        .map(|i| f64::from(key.uniform(i)) - 0.5)
        .collect()
}

/// The matrix times each vector.
fn images(matrix: &[f64], m: usize, vectors: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let image = |v: &Vec<f64>| -> Vec<f64> {
        let rows = matrix.par_chunks(m.max(1));
        rows.map(|row| dot(row, v)).collect()
    };
    vectors.iter().map(image).collect()
}

/// The eigenvalues of the matrix within the span of `vectors`, largest first, and the combinations
/// of them that are its eigenvectors there.
fn rotate(vectors: &[Vec<f64>], images: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let row = |v: &Vec<f64>| images.iter().map(|image| dot(v, image)).collect();
    let small: Vec<Vec<f64>> = vectors.iter().map(row).collect();
    let (values, columns) = jacobi(small);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let column = |&i: &usize| columns.iter().map(|row| row[i]).collect();
    let rotation = order.iter().map(column).collect();
    (order.iter().map(|&i| values[i]).collect(), rotation)
}

/// For each row of `rotation`, the sum of the vectors times its elements.
fn combined(vectors: &[Vec<f64>], rotation: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let m = vectors.first().map_or(0, Vec::len);
    let sum = |weights: &Vec<f64>| {
        let mut sum = vec![0.0; m];
        for (weight, vector) in weights.iter().zip(vectors) {
            sum.iter_mut()
                .zip(vector)
                .for_each(|(s, x)| *s += weight * x);
        }
        sum
    };
    rotation.iter().map(sum).collect()
}

/// Makes the vectors orthogonal and of length 1, twice, as once leaves rounding errors. A vector that
/// depends on the earlier ones becomes 0.
fn orthonormalize(vectors: &mut [Vec<f64>]) {
    for i in 0..vectors.len() {
        let (done, rest) = vectors.split_at_mut(i);
        let Some(vector) = rest.first_mut() else {
            return;
        };
        let before = dot(vector, vector).sqrt();
        for earlier in done.iter().chain(done.iter()) {
            let share = dot(earlier, vector);
            vector
                .iter_mut()
                .zip(earlier)
                .for_each(|(x, e)| *x -= share * e);
        }
        let length = dot(vector, vector).sqrt();
        let factor = if length > 1e-14 * before {
            1.0 / length
        } else {
            0.0
        };
        vector.iter_mut().for_each(|x| *x *= factor);
    }
}

/// The eigenvalues of a small symmetric matrix, and its eigenvectors as columns, by Jacobi's
/// rotations.
fn jacobi(mut a: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = a.len();
    let unit = |i: usize| (0..n).map(|j| f64::from(u8::from(i == j))).collect();
    let mut v: Vec<Vec<f64>> = (0..n).map(unit).collect();
    for _ in 0..50 {
        let off: f64 = (0..n)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| a[i][j].powi(2))
            .sum();
        let diagonal: f64 = (0..n).map(|i| a[i][i].powi(2)).sum();
        if off <= 1e-30 * diagonal {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                turn(&mut a, &mut v, p, q);
            }
        }
    }
    ((0..n).map(|i| a[i][i]).collect(), v)
}

/// Rotates axes `p` and `q` so that their element off the diagonal vanishes.
fn turn(a: &mut [Vec<f64>], v: &mut [Vec<f64>], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    let mix = |x: f64, y: f64| (c * x - s * y, s * x + c * y);
    for row in a.iter_mut() {
        (row[p], row[q]) = mix(row[p], row[q]);
    }
    let (before, from) = a.split_at_mut(q);
    for (x, y) in before[p].iter_mut().zip(&mut from[0]) {
        (*x, *y) = mix(*x, *y);
    }
    for row in v.iter_mut() {
        (row[p], row[q]) = mix(row[p], row[q]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvalues_of_known_matrices() {
        let found = largest(&[2.0, 1.0, 1.0, 2.0], 2, 2);
        let half = 0.5_f64.sqrt();
        assert!((found[0].0 - 3.0).abs() < 1e-12 && (found[1].0 - 1.0).abs() < 1e-12);
        assert!((found[0].1[0].abs() - half).abs() < 1e-9, "{found:?}");
        // The second differences of 40 cells: eigenvalues 2 - 2 cos(k pi / 41).
        let m = 40;
        let cell = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let matrix: Vec<f64> = (0..m * m).map(|at| cell(at / m, at % m)).collect();
        for (k, (value, vector)) in largest(&matrix, m, 3).into_iter().enumerate() {
            let angle = (m - k) as f64 * std::f64::consts::PI / 41.0;
            assert!(
                (value - (2.0 - 2.0 * angle.cos())).abs() < 1e-6,
                "{k}: {value}"
            );
            assert!((dot(&vector, &vector) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_matrix_of_low_rank_has_no_further_eigenvalues() {
        let v = [3.0, 0.0, 4.0];
        let matrix: Vec<f64> = (0..9).map(|at| v[at / 3] * v[at % 3]).collect();
        let found = largest(&matrix, 3, 5);
        assert_eq!(found.len(), 3);
        assert!((found[0].0 - 25.0).abs() < 1e-9 && found[1].0.abs() < 1e-9);
        assert!((found[0].1[2].abs() - 0.8).abs() < 1e-9);
        assert!(
            largest(&[0.0; 4], 2, 2)
                .iter()
                .all(|(value, _)| *value == 0.0)
        );
        assert!(largest(&[], 0, 2).is_empty());
    }
}
