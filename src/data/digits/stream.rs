//! The built-in digits as an endless stream.

use super::render::SIDE;
use super::sample;
use crate::data::generator::{Batch, Generator};
use crate::rng::{Key, Stream};

/// The built-in digits as an endless stream, which repeats after 2^32 digits. Batch `n` holds the
/// samples from index `n * batch_size` on, the same as [`generate`](super::generate) draws.
#[derive(Clone, Copy, Debug)]
pub struct DigitStream {
    batch_size: usize,
    seed: u64,
}

impl DigitStream {
    /// A stream of batches of this size. A seed other than 28 avoids the built-in test set.
    pub fn new(batch_size: usize, seed: u64) -> Self {
        Self { batch_size, seed }
    }
}

impl Generator for DigitStream {
    fn name(&self) -> String {
        "digits".into()
    }

    fn shape(&self) -> [usize; 3] {
        [SIDE, SIDE, 1]
    }

    fn batch(&self, number: u64) -> crate::Result<Option<Batch>> {
        let key = Key::new(self.seed);
        let first = number.wrapping_mul(self.batch_size as u64);
        let mut batch = Batch::new(
            Vec::with_capacity(self.batch_size * SIDE * SIDE),
            Vec::with_capacity(self.batch_size),
        );
        for row in 0..self.batch_size as u64 {
            let index = first.wrapping_add(row) as u32;
            let (digit, pixels) = sample(key.stream(Stream::Digits, index));
            batch.labels.push(digit);
            batch.images.extend_from_slice(&pixels);
        }
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_what_generate_draws() {
        let batch = DigitStream::new(7, 3).batch(5).unwrap().unwrap();
        let data = crate::data::digits::generate(7, 3, 35);
        assert_eq!(
            (&batch.images[..], &batch.labels[..]),
            (data.images(), data.labels())
        );
    }
}
