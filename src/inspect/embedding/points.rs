//! PointSet as rows of numbers, checked.

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::state::check_memory;

/// The most points: the distances between them take 8 bytes for each pair.
const MOST: usize = 10_000;

/// PointSet, `[n, features]`.
pub(super) struct PointSet {
    pub n: usize,
    pub features: usize,
    values: Vec<f64>,
}

impl PointSet {
    /// # Errors
    /// No points, too many, not a whole number of them, or a value that is not finite.
    pub fn new(values: &[f32], features: usize) -> Result<Self> {
        let whole = features > 0 && values.len().is_multiple_of(features);
        let n = if whole { values.len() / features } else { 0 };
        if n == 0 || n > MOST {
            return Err(Error::Argument(format!(
                "expected 1 to {MOST} points of {features} values each, received {} values",
                values.len()
            )));
        }
        if let Some(i) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Argument(format!(
                "point {} has the value {}: expected finite numbers",
                i / features,
                values[i]
            )));
        }
        check_memory("the points and their distances", 2 * (n * n + values.len()))?;
        Ok(Self {
            n,
            features,
            values: values.iter().map(|&value| f64::from(value)).collect(),
        })
    }

    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.features..(i + 1) * self.features]
    }

    /// Subtracts the mean of the points from each, and returns it.
    pub fn centre(&mut self) -> Vec<f64> {
        let mut mean = vec![0.0; self.features];
        for row in self.values.chunks(self.features) {
            mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        mean.iter_mut().for_each(|sum| *sum /= self.n as f64);
        for row in self.values.chunks_mut(self.features) {
            row.iter_mut().zip(&mean).for_each(|(x, mean)| *x -= mean);
        }
        mean
    }

    /// The products of each point with each, `[n, n]`.
    pub fn products(&self) -> Vec<f64> {
        let row = |i| (0..self.n).map(move |j| dot(self.row(i), self.row(j)));
        (0..self.n).into_par_iter().flat_map_iter(row).collect()
    }

    /// The products of each feature with each, `[features, features]`.
    pub fn covariances(&self) -> Vec<f64> {
        let columns: Vec<f64> = (0..self.features)
            .flat_map(|f| (0..self.n).map(move |i| self.row(i)[f]))
            .collect();
        let transposed = Self {
            n: self.features,
            features: self.n,
            values: columns,
        };
        transposed.products()
    }
}

/// The sum of the products of the elements, in four parts that a processor can add at once. The
/// order of the additions depends on the length alone.
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 4];
    let (a4, b4) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    for (a, b) in a4.0.iter().zip(b4.0) {
        for (part, (a, b)) in parts.iter_mut().zip(a.iter().zip(b)) {
            *part += a * b;
        }
    }
    let rest = a4.1.iter().zip(b4.1).map(|(a, b)| a * b);
    parts.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_points_are_refused() {
        let message = |values: &[f32], features| {
            let error = PointSet::new(values, features).map(drop).unwrap_err();
            error.to_string()
        };
        assert!(message(&[1.0; 5], 2).contains("points of 2 values each, received 5"));
        assert!(message(&[], 2).contains("received 0"));
        assert!(message(&[1.0], 0).contains("of 0 values"));
        let nan = message(&[0.0, 1.0, f32::NAN, 2.0], 2);
        assert_eq!(nan, "point 1 has the value NaN: expected finite numbers");
    }

    #[test]
    fn products_of_points_and_of_features() {
        let points = PointSet::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3).unwrap();
        assert_eq!(points.products(), [14.0, 32.0, 32.0, 77.0]);
        let expected = [17.0, 22.0, 27.0, 22.0, 29.0, 36.0, 27.0, 36.0, 45.0];
        assert_eq!(points.covariances(), expected);
        assert_eq!(dot(&[1.0; 7], &[2.0; 7]), 14.0);
    }
}
