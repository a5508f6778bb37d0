//! Gathers a batch from a data set.

use super::Definition;
use crate::data::dataset::PixelValues;
use crate::exec::host::Memory;
use crate::plan::Gather;

impl Definition for Gather {
    fn run(&self, m: &mut Memory<'_>) {
        let Self { x, labels } = self;
        let (pixels, classes) = gather(m.samples(), m.batch, m.floats(*x).len());
        m.put(*x, pixels);
        m.put_words(*labels, classes);
    }
}

/// `x[r, ..] = image[order[offset + r], ..]`, of bytes `/ 255`, and
/// `labels[r] = label[order[offset + r]]` for the valid rows `r`; zeros in the others. `length` is the number of elements of `x`.
pub(super) fn gather<'a>(
    samples: impl Iterator<Item = (PixelValues<'a>, u8)>,
    batch: usize,
    length: usize,
) -> (Vec<f32>, Vec<u32>) {
    let mut x = Vec::with_capacity(length);
    let mut labels = Vec::with_capacity(batch);
    for (image, label) in samples {
        match image {
            PixelValues::Bytes(image) => {
                x.extend(image.iter().map(|&byte| f32::from(byte) / 255.0))
            }
            PixelValues::Floats(image) => x.extend_from_slice(image),
        }
        labels.push(u32::from(label));
    }
    x.resize(length, 0.0);
    labels.resize(batch, 0);
    (x, labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pads_a_short_batch_with_zeros() {
        let samples = [
            (PixelValues::Bytes(&[255, 0]), 7),
            (PixelValues::Floats(&[0.2, 0.4]), 9),
        ];
        let (x, labels) = gather(samples.into_iter(), 3, 6);
        assert_eq!(x, [1.0, 0.0, 0.2, 0.4, 0.0, 0.0]);
        assert_eq!(labels, [7, 9, 0]);
    }
}
