//! MNIST from its IDX files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::prelude::*;
use flate2::read::GzDecoder;

const PIXELS: usize = 28 * 28;

/// Images with values from 0 to 1, and their classes.
pub struct Split {
    pixels: Vec<f32>,
    labels: Vec<u8>,
}

impl Split {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// The first `rows` images.
    pub fn head(&self, rows: usize) -> Self {
        let rows = rows.min(self.len());
        Self {
            pixels: self.pixels[..rows * PIXELS].to_vec(),
            labels: self.labels[..rows].to_vec(),
        }
    }

    /// Some images as [n, 1, 28, 28] and their labels, assembled on the host as in burn's data
    /// loader.
    pub fn batch(&self, rows: &[usize], device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
        let mut pixels = Vec::with_capacity(rows.len() * PIXELS);
        for row in rows {
            pixels.extend_from_slice(&self.pixels[row * PIXELS..][..PIXELS]);
        }
        let labels: Vec<i32> = rows.iter().map(|&row| self.labels[row].into()).collect();
        (
            Tensor::from_data(TensorData::new(pixels, [rows.len(), 1, 28, 28]), device),
            Tensor::from_data(TensorData::new(labels, [rows.len()]), device),
        )
    }
}

/// The training or test set of MNIST, at most `limit` images.
pub fn read(folder: &Path, name: &str, limit: Option<usize>) -> Result<Split, String> {
    let images = read_idx(folder, &format!("{name}-images-idx3-ubyte"), 16)?;
    let mut labels = read_idx(folder, &format!("{name}-labels-idx1-ubyte"), 8)?;
    labels.truncate(limit.unwrap_or(usize::MAX));
    if labels.is_empty() || images.len() < labels.len() * PIXELS {
        return Err(format!("{} does not contain MNIST's files", folder.display()));
    }
    let pixels = images[..labels.len() * PIXELS].iter();
    Ok(Split {
        pixels: pixels.map(|&byte| f32::from(byte) / 255.0).collect(),
        labels,
    })
}

/// The bytes of an IDX file after its header.
fn read_idx(folder: &Path, name: &str, header: usize) -> Result<Vec<u8>, String> {
    let plain = folder.join(name);
    let mut bytes = Vec::new();
    let read = if plain.exists() {
        File::open(&plain).and_then(|mut file| file.read_to_end(&mut bytes))
    } else {
        File::open(folder.join(format!("{name}.gz")))
            .and_then(|file| GzDecoder::new(file).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("cannot read {} or its .gz: {error}", plain.display()))?;
    Ok(bytes.split_off(header.min(bytes.len())))
}
