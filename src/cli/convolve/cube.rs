//! Numbers by row, column and channel.

use cnn_gpu::inspect::{LayerOutput, Matrix};
use cnn_gpu::{Error, Result};

/// Numbers by row, column and channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Cube {
    pub size: [usize; 2],
    pub channels: usize,
    /// `[h, w, c]`.
    pub values: Vec<f32>,
}

impl Cube {
    /// The values `[h, w, c]` of this size.
    pub fn new(size: [usize; 2], channels: usize, values: Vec<f32>) -> Self {
        Self {
            size,
            channels,
            values,
        }
    }

    /// Height, width and channels.
    pub fn shape(&self) -> [usize; 3] {
        [self.size[0], self.size[1], self.channels]
    }

    /// One number; 0 outside.
    pub fn at(&self, y: usize, x: usize, channel: usize) -> f32 {
        let at = (y * self.size[1] + x) * self.channels + channel;
        self.values.get(at).copied().unwrap_or_default()
    }

    /// One channel.
    pub fn channel(&self, channel: usize) -> Result<Matrix> {
        let values = self.values.iter().skip(channel).step_by(self.channels);
        Matrix::new(self.size[1], values.copied().collect())
    }

    /// Some of the channels.
    pub fn channels(&self, first: usize, count: usize) -> Self {
        let pixels = self.values.chunks_exact(self.channels);
        let values = pixels.flat_map(|pixel| pixel.iter().skip(first).take(count));
        Self::new(self.size, count, values.copied().collect())
    }
}

impl TryFrom<&LayerOutput> for Cube {
    type Error = Error;

    fn try_from(output: &LayerOutput) -> Result<Self> {
        match output.shape[..] {
            [h, w, c] => Ok(Self::new([h, w], c, output.values.clone())),
            _ => Err(Error::device("a layer gives no image")),
        }
    }
}
