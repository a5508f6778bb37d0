//! Principal component analysis.

use rayon::prelude::*;

use super::eigen::largest;
use super::points::{PointSet, dot};
use crate::error::Result;

/// The principal components of some points: the directions in which they vary most.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Pca {
    /// The mean of the points, `[features]`.
    pub mean: Vec<f64>,
    /// The components, unit vectors `[features]`, in order of the variance. The largest element of
    /// each is positive.
    pub components: Vec<Vec<f64>>,
    /// The fraction of the whole variance along each component.
    pub explained: Vec<f64>,
    /// The coordinates of each point along the components.
    pub scores: Vec<Vec<f64>>,
}

impl Pca {
    /// The first `components` components of `values`, `[n, features]`; fewer if there are fewer
    /// points or features. In f64, and the same bytes for any number of threads.
    ///
    /// # Errors
    /// No points or more than 10,000, not a whole number of points, or a value that is not finite.
    pub fn new(values: &[f32], features: usize, components: usize) -> Result<Self> {
        let mut points = PointSet::new(values, features)?;
        let mean = points.centre();
        let found = directions(&points, components);
        let variance: f64 = (0..points.n)
            .map(|i| dot(points.row(i), points.row(i)))
            .sum();
        let share = |value: &f64| {
            if variance > 0.0 {
                (value / variance).max(0.0)
            } else {
                0.0
            }
        };
        let components: Vec<Vec<f64>> = found.iter().map(|(_, vector)| vector.clone()).collect();
        let along = |i: usize| components.iter().map(|c| dot(points.row(i), c)).collect();
        Ok(Self {
            mean,
            explained: found.iter().map(|(value, _)| share(value)).collect(),
            scores: (0..points.n).into_par_iter().map(along).collect(),
            components,
        })
    }
}

/// The sums of squares along the components, and the components.
fn directions(points: &PointSet, wanted: usize) -> Vec<(f64, Vec<f64>)> {
    // The smaller of the two matrices has the same eigenvalues.
    let mut found = if points.features <= points.n {
        largest(&points.covariances(), points.features, wanted)
    } else {
        let found = largest(&points.products(), points.n, wanted);
        let back = found
            .into_iter()
            .map(|(value, v)| (value, direction(points, &v)));
        back.collect()
    };
    for (_, vector) in &mut found {
        let by_size = |a: &&f64, b: &&f64| a.abs().total_cmp(&b.abs());
        if vector.iter().max_by(by_size).is_some_and(|x| *x < 0.0) {
            vector.iter_mut().for_each(|x| *x = -*x);
        }
    }
    found
}

/// The unit vector in which the points' coordinates are proportional to `coordinates`.
fn direction(points: &PointSet, coordinates: &[f64]) -> Vec<f64> {
    let mut vector = vec![0.0; points.features];
    for (i, weight) in coordinates.iter().enumerate() {
        let terms = vector.iter_mut().zip(points.row(i));
        terms.for_each(|(sum, x)| *sum += weight * x);
    }
    let length = dot(&vector, &vector).sqrt();
    let factor = if length > 0.0 { 1.0 / length } else { 0.0 };
    vector.iter_mut().for_each(|x| *x *= factor);
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{Key, Stream};

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6
    }

    #[test]
    fn points_on_a_line_have_one_component() {
        let values: Vec<f32> = (0..10)
            .flat_map(|i| [3.0 * i as f32, 4.0 * i as f32 + 1.0])
            .collect();
        let pca = Pca::new(&values, 2, 2).unwrap();
        assert!(close(pca.components[0][0], 0.6) && close(pca.components[0][1], 0.8));
        assert!(close(pca.explained[0], 1.0) && close(pca.explained[1], 0.0));
        assert_eq!(pca.mean, [13.5, 19.0]);
        assert!(close(pca.scores[0][0], -22.5) && close(pca.scores[9][0], 22.5));
    }

    /// More features than points take the other way.
    #[test]
    fn both_ways_agree() {
        let key = Key::new(1).stream(Stream::Check, 0);
        let tall: Vec<f32> = (0..60).map(|i| key.uniform(i)).collect();
        let zeros = tall
            .chunks(4)
            .flat_map(|row| row.iter().copied().chain([0.0; 16]));
        let wide: Vec<f32> = zeros.collect();
        let a = Pca::new(&tall, 4, 3).unwrap();
        let b = Pca::new(&wide, 20, 3).unwrap();
        for k in 0..3 {
            assert!(close(a.explained[k], b.explained[k]), "{a:?} {b:?}");
            for (x, y) in a.scores.iter().zip(&b.scores) {
                assert!(close(x[k], y[k]), "{k}: {x:?} {y:?}");
            }
        }
    }

    #[test]
    fn equal_points_have_no_variance() {
        let pca = Pca::new(&[2.0; 12], 3, 2).unwrap();
        assert_eq!(pca.explained, [0.0, 0.0]);
        assert!(pca.scores.iter().flatten().all(|score| *score == 0.0));
        let one = Pca::new(&[2.0, 3.0], 2, 2).unwrap();
        assert_eq!(one.scores.len(), 1);
    }
}
