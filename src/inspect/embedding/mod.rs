//! PointSet of many dimensions, such as the outputs of a hidden layer, drawn in a plane.
//!
//! ```
//! use cnn_gpu::inspect::embedding::{Pca, Tsne};
//!
//! // Two groups of four points of three dimensions.
//! let value = |i: usize, axis: usize| ((i / 4) * 10 + (i * axis) % 3) as f32;
//! let points: Vec<f32> = (0..8).flat_map(|i| (0..3).map(move |axis| value(i, axis))).collect();
//!
//! let pca = Pca::new(&points, 3, 2)?;
//! assert!(pca.explained[0] > 0.9); // the first component tells the groups apart
//! assert_eq!(pca.scores.len(), 8);
//!
//! let map = Tsne::default().perplexity(2.0).embed(&points, 3)?;
//! assert_eq!(map.points.len(), 8);
//! # Ok::<(), cnn_gpu::Error>(())
//! ```

mod affinities;
mod eigen;
mod pca;
mod points;
mod tsne;

pub use pca::Pca;
pub use tsne::{Tsne, TsneMap};
