//! t-distributed stochastic neighbour embedding.

use rayon::prelude::*;

use super::Pca;
use super::affinities::{LEAST, affinities};
use super::points::PointSet;
use crate::error::{Error, Result};
use crate::rng::{DEFAULT_SEED, Key, Stream};

/// The factor on the affinities in the first half, which lets groups form.
const EXAGGERATION: f64 = 12.0;
/// The most iterations with exaggeration.
const EXAGGERATED: usize = 250;
/// The standard deviation of the first coordinate at the start.
const START: f64 = 1e-4;
/// The size of the random displacement at the start.
const JITTER: f64 = 1e-6;

/// t-SNE (van der Maaten and Hinton, 2008): places points in a plane so that near neighbours stay
/// near. Distances between groups, and the sizes of groups, mean little.
///
/// Exact, in f64, with all pairs of points: the time is proportional to their number squared. The
/// points start at their first two principal components, displaced a little at random, so that the
/// seed decides only where equal points go. The same points, settings and seed give the same bytes
/// on any number of threads. The settings are those of scikit-learn, except for the iterations.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tsne {
    /// The number of neighbours that count for a point. Default 30, or a third of the points if
    /// that is less.
    pub perplexity: f64,
    /// Steps of gradient descent. Default 500.
    pub iterations: usize,
    /// Default 42.
    pub seed: u64,
}

/// Points in a plane.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TsneMap {
    /// The place of each point.
    pub points: Vec<[f64; 2]>,
    /// The divergence (Kullback-Leibler, in nats) of the neighbourhoods in the plane from the real
    /// ones: the smaller, the better the map.
    pub divergence: f64,
    /// The perplexity used.
    pub perplexity: f64,
}

impl Default for Tsne {
    fn default() -> Self {
        Self {
            perplexity: 30.0,
            iterations: 500,
            seed: DEFAULT_SEED,
        }
    }
}

impl Tsne {
    /// Sets the perplexity, at least 1.
    pub fn perplexity(self, perplexity: f64) -> Self {
        Self { perplexity, ..self }
    }

    /// Sets the number of iterations.
    pub fn iterations(self, iterations: usize) -> Self {
        Self { iterations, ..self }
    }

    /// Sets the seed.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Places the points of `values`, `[n, features]`.
    ///
    /// # Errors
    /// Those of [`Pca::new`]; a perplexity below 1.
    pub fn embed(&self, values: &[f32], features: usize) -> Result<TsneMap> {
        if !(self.perplexity >= 1.0 && self.perplexity.is_finite()) {
            return Err(Error::Argument(format!(
                "perplexity {} is out of range: expected at least 1",
                self.perplexity
            )));
        }
        let points = PointSet::new(values, features)?;
        let perplexity = self.perplexity.min(points.n as f64 / 3.0).max(1.0);
        let wanted = affinities(&points, perplexity);
        let mut descent = Descent::new(self.start(values, features)?);
        let exaggerated = EXAGGERATED.min(self.iterations / 2);
        for iteration in 0..self.iterations {
            if iteration == exaggerated {
                descent.start_afresh();
            }
            descent.step(&wanted, iteration < exaggerated);
        }
        Ok(TsneMap {
            divergence: divergence(&wanted, &descent.places),
            points: descent.places,
            perplexity,
        })
    }

    fn start(&self, values: &[f32], features: usize) -> Result<Vec<[f64; 2]>> {
        let pca = Pca::new(values, features, 2)?;
        let coordinate = |i: usize, axis: usize| pca.scores[i].get(axis).copied().unwrap_or(0.0);
        let n = pca.scores.len();
        let squares: f64 = (0..n).map(|i| coordinate(i, 0).powi(2)).sum();
        let scale = START / (squares / n as f64).sqrt().max(f64::MIN_POSITIVE);
        let key = |axis: usize| Key::new(self.seed).stream(Stream::Embed, axis as u32);
        let place = |i: usize, axis: usize| {
            let jitter = f64::from(key(axis).uniform(i as u32)) - 0.5;
            coordinate(i, axis) * scale + jitter * JITTER
        };
        Ok((0..n).map(|i| [place(i, 0), place(i, 1)]).collect())
    }
}

/// Gradient descent with momentum and a gain per coordinate.
struct Descent {
    places: Vec<[f64; 2]>,
    moves: Vec<[f64; 2]>,
    gains: Vec<[f64; 2]>,
    rate: f64,
}

/// What the other points contribute to a point's gradient.
#[derive(Clone, Copy, Default)]
struct Forces {
    attraction: [f64; 2],
    repulsion: [f64; 2],
    /// The sum of the point's weights.
    sum: f64,
}

impl Descent {
    fn new(places: Vec<[f64; 2]>) -> Self {
        let n = places.len();
        Self {
            moves: vec![[0.0; 2]; n],
            gains: vec![[1.0; 2]; n],
            rate: (n as f64 / EXAGGERATION / 4.0).max(50.0),
            places,
        }
    }

    /// Forgets momentum and gains, which weaker forces could not slow down.
    fn start_afresh(&mut self) {
        self.moves.fill([0.0; 2]);
        self.gains.fill([1.0; 2]);
    }

    fn step(&mut self, wanted: &[f64], exaggerated: bool) {
        let (factor, momentum) = if exaggerated {
            (EXAGGERATION, 0.5)
        } else {
            (1.0, 0.8)
        };
        let forces = forces(wanted, &self.places);
        let sum: f64 = forces.iter().map(|force| force.sum).sum();
        let sum = sum.max(f64::MIN_POSITIVE);
        for (i, force) in forces.iter().enumerate() {
            for axis in 0..2 {
                let pull = factor * force.attraction[axis];
                let gradient = 4.0 * (pull - force.repulsion[axis] / sum);
                let (gain, last) = (&mut self.gains[i][axis], &mut self.moves[i][axis]);
                let turns = gradient * *last < 0.0;
                *gain = if turns {
                    *gain + 0.2
                } else {
                    (*gain * 0.8).max(0.01)
                };
                *last = momentum * *last - self.rate * *gain * gradient;
                self.places[i][axis] += *last;
            }
        }
    }
}

/// The forces on each point. The weight of a pair is `1 / (1 + d²)`.
fn forces(wanted: &[f64], places: &[[f64; 2]]) -> Vec<Forces> {
    let n = places.len();
    let rows = wanted.par_chunks(n.max(1)).zip(places.par_iter());
    let on = |(row, &[x, y]): (&[f64], &[f64; 2])| {
        let mut force = Forces::default();
        for (&p, &[other_x, other_y]) in row.iter().zip(places) {
            let (dx, dy) = (x - other_x, y - other_y);
            let weight = 1.0 / (1.0 + dx * dx + dy * dy);
            let (pull, push) = (p * weight, weight * weight);
            force.attraction[0] += pull * dx;
            force.attraction[1] += pull * dy;
            force.repulsion[0] += push * dx;
            force.repulsion[1] += push * dy;
            force.sum += weight;
        }
        // The point itself, at distance 0.
        force.sum -= 1.0;
        force
    };
    rows.map(on).collect()
}

/// The divergence of the pairs' probabilities in the plane from those wanted.
fn divergence(wanted: &[f64], places: &[[f64; 2]]) -> f64 {
    let n = places.len();
    let weight = |i: usize, j: usize| {
        let ([x, y], [u, v]) = (places[i], places[j]);
        1.0 / (1.0 + (x - u).powi(2) + (y - v).powi(2))
    };
    let others = |i: usize| (0..n).filter(move |&j| j != i);
    let sums = (0..n)
        .into_par_iter()
        .map(|i| others(i).map(|j| weight(i, j)).sum::<f64>());
    let sum: f64 = sums.collect::<Vec<_>>().iter().sum();
    let terms = (0..n).into_par_iter().map(|i| {
        let term = |j: usize| {
            let (p, q) = (wanted[i * n + j], (weight(i, j) / sum).max(LEAST));
            p * libm::log(p / q)
        };
        others(i).map(term).sum::<f64>()
    });
    terms.collect::<Vec<_>>().iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three groups of points of five dimensions.
    fn groups(each: usize) -> Vec<f32> {
        let key = Key::new(4).stream(Stream::Check, 0);
        let value = |i: usize, axis: usize| {
            let centre = if axis == i / each { 8.0 } else { 0.0 };
            centre + key.normal((i * 5 + axis) as u32)
        };
        (0..3 * each)
            .flat_map(|i| (0..5).map(move |axis| value(i, axis)))
            .collect()
    }

    #[test]
    fn groups_stay_together() {
        let each = 20;
        let map = Tsne::default()
            .perplexity(10.0)
            .embed(&groups(each), 5)
            .unwrap();
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        for (i, &place) in map.points.iter().enumerate() {
            let others = map.points.iter().enumerate().filter(|(j, _)| *j != i);
            let nearest = others
                .min_by(|(_, a), (_, b)| distance(place, **a).total_cmp(&distance(place, **b)));
            assert_eq!(nearest.map(|(j, _)| j / each), Some(i / each), "point {i}");
        }
        // What scikit-learn 1.9 reaches is 0.159.
        assert!(map.divergence < 0.17, "{}", map.divergence);
    }

    #[test]
    fn the_bytes_depend_on_the_seed_and_not_on_the_threads() {
        let (values, tsne) = (groups(10), Tsne::default().iterations(60));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| tsne.embed(&values, 5).unwrap())
        };
        let one = on(1);
        assert_eq!(on(3), one);
        assert_ne!(tsne.seed(1).embed(&values, 5).unwrap(), one);
    }

    #[test]
    fn few_and_equal_points_are_placed() {
        for n in [1, 2, 5] {
            let map = Tsne::default().embed(&vec![1.0; 3 * n], 3).unwrap();
            assert_eq!(map.points.len(), n);
            assert!(
                map.points.iter().flatten().all(|x| x.is_finite()),
                "{map:?}"
            );
        }
        let error = Tsne::default()
            .perplexity(0.5)
            .embed(&[1.0; 6], 3)
            .unwrap_err();
        assert!(error.to_string().contains("at least 1"), "{error}");
    }
}
