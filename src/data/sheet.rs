//! Samples as a picture.

use image::{Rgb, RgbImage};

use super::dataset::Dataset;
use super::picture::Picture;

/// Pixels between two samples.
const GAP: usize = 2;

/// One sample as red, green and blue. Colours are unchanged; grey is inverted, from 0 white to 255
/// black, as matplotlib's `cm.binary` shows it.
pub fn rgb(data: &Dataset, index: usize) -> Vec<[u8; 3]> {
    let pixels = data.image(index);
    match data.shape()[2] {
        3 => pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(),
        channels => (pixels.chunks_exact(channels))
            .map(|p| [255 - p[0]; 3])
            .collect(),
    }
}

/// The width and height in pixels of a [`sheet`] of this many samples `[h, w, c]`, at a scale of 1.
pub fn sheet_size([height, width, _]: [usize; 3], samples: usize, columns: usize) -> [usize; 2] {
    let columns = columns.clamp(1, samples.max(1));
    let size = |count: usize, side: usize| count * (side + GAP) + GAP;
    [
        size(columns, width),
        size(samples.div_ceil(columns), height),
    ]
}

/// Samples side by side, `columns` per row, with each pixel as a square of `scale` x `scale`
/// pixels.
pub fn sheet(data: &Dataset, indices: &[usize], columns: usize, scale: usize) -> Picture {
    let [height, width, _] = data.shape();
    let [full_width, full_height] =
        sheet_size(data.shape(), indices.len(), columns).map(|side| (side * scale) as u32);
    let columns = columns.clamp(1, indices.len().max(1));
    let size = |count: usize, side: usize| (count * (side + GAP) + GAP) * scale;
    let mut sheet = RgbImage::from_pixel(full_width, full_height, Rgb([224; 3]));
    for (place, &index) in indices.iter().enumerate() {
        let left = size(place % columns, width);
        let top = size(place / columns, height);
        for (at, &pixel) in rgb(data, index).iter().enumerate() {
            let (x, y) = (left + at % width * scale, top + at / width * scale);
            for square in 0..scale * scale {
                let (dx, dy) = (square % scale, square / scale);
                sheet.put_pixel((x + dx) as u32, (y + dy) as u32, Rgb(pixel));
            }
        }
    }
    Picture::from(sheet)
}
