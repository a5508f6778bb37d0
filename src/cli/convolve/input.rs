//! The picture or the matrix that the filter slides over.

use std::path::{Path, PathBuf};

use cnn_gpu::data::{Dataset, DatasetSpec, Picture, ReadOptions};
use cnn_gpu::inspect::Matrix;
use cnn_gpu::shape::dims;
use cnn_gpu::{Error, Result};

use super::cube::Cube;
use crate::cli::data::{self, described};
use crate::cli::output::say;

/// The sample that the lab shows.
const LAB: usize = 5;

/// Where the numbers come from.
pub enum ImageOrigin {
    /// A picture's file.
    File(PathBuf),
    /// The command line.
    Typed(Matrix),
    /// A training sample of a data set; without an index the one that the lab shows.
    Sample {
        spec: DatasetSpec,
        folder: Option<PathBuf>,
        index: Option<usize>,
        /// That of a network's input, to which pictures are resized.
        shape: Option<[usize; 3]>,
    },
}

impl ImageOrigin {
    /// What it is, in words.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Typed(_) => "the matrix".into(),
            Self::Sample { spec, index, .. } => {
                format!("image {} of {spec}", index.unwrap_or(LAB))
            }
        }
    }

    /// The numbers with this many channels: 1 for grey, 3 for red, green and blue. Grey levels are
    /// from 0 to 255.
    pub fn read(&self, channels: usize) -> anyhow::Result<Cube> {
        match self {
            Self::File(path) => read_picture(path, channels),
            Self::Typed(matrix) => Ok(typed(matrix, channels)?),
            Self::Sample {
                spec,
                folder,
                index,
                shape,
            } => {
                let read = ReadOptions::default().seed(None).inspect(true);
                let read = match *shape {
                    Some(shape) => read.shape(shape),
                    None => read,
                };
                let set = data::load(spec, folder.as_deref(), read, true)?
                    .splits
                    .train;
                sample(spec, &set, *index, channels)
            }
        }
    }
}

fn read_picture(path: &Path, channels: usize) -> anyhow::Result<Cube> {
    let picture = Picture::read(path)?;
    if picture.is_clipped() {
        let path = path.display();
        say(&format!(
            "note: {path} has light above 1, which is clipped to 1"
        ));
    }
    let [width, height] = picture.size();
    let bytes = picture.resized([height, width, channels])?;
    Ok(cube([height, width, channels], &bytes))
}

fn typed(matrix: &Matrix, channels: usize) -> Result<Cube> {
    if channels != 1 {
        return Err(Error::Argument(format!(
            "--matrix has one channel: expected a picture, of which {channels} channels can be used"
        )));
    }
    let size = [matrix.rows(), matrix.columns()];
    Ok(Cube::new(size, 1, matrix.values().to_vec()))
}

fn sample(
    spec: &DatasetSpec,
    set: &Dataset,
    index: Option<usize>,
    channels: usize,
) -> anyhow::Result<Cube> {
    say(&format!("data: {}", described(set)));
    let index = index.unwrap_or(LAB);
    if index >= set.len() {
        return Err(Error::Argument(format!(
            "--index must be below {}, the number of samples, received {index}",
            set.len()
        ))
        .into());
    }
    let [height, width, own] = set.shape();
    let pixels = set.image(index);
    if own == channels {
        return Ok(cube(set.shape(), pixels));
    }
    if (own, channels) != (3, 1) {
        return Err(Error::Argument(format!(
            "expected images of {channels} channels, received {spec} with images of {}",
            dims(&set.shape())
        ))
        .into());
    }
    // ITU-R BT.601, as for pictures.
    let grey = pixels.chunks_exact(3).map(|p| {
        let [r, g, b] = [p[0], p[1], p[2]].map(f32::from);
        (0.299 * r + 0.587 * g + 0.114 * b).round() as u8
    });
    Ok(cube([height, width, 1], &grey.collect::<Vec<u8>>()))
}

fn cube([height, width, channels]: [usize; 3], bytes: &[u8]) -> Cube {
    let values = bytes.iter().map(|&byte| f32::from(byte)).collect();
    Cube::new([height, width], channels, values)
}
