//! Pictures side by side, in a terminal or in a PNG file.

use cnn_gpu::data::Picture;
use image::{Rgb, RgbImage};

/// Pixels between two pictures of a file, before they are enlarged.
const GAP: usize = 2;
/// The colour between them.
const BETWEEN: [u8; 3] = [224; 3];

/// A small picture with a title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panel {
    pub title: String,
    pub width: usize,
    /// Row by row.
    pixels: Vec<[u8; 3]>,
}

impl Panel {
    /// A picture of this width from its pixels, row by row.
    pub fn new(title: impl Into<String>, width: usize, pixels: Vec<[u8; 3]>) -> Self {
        Self {
            title: title.into(),
            width,
            pixels,
        }
    }

    /// The number of rows.
    pub fn height(&self) -> usize {
        self.pixels.len() / self.width.max(1)
    }

    /// The pixels of a row, if there is such a row.
    pub fn row(&self, y: usize) -> Option<&[[u8; 3]]> {
        self.pixels.get(y * self.width..(y + 1) * self.width)
    }

    /// The picture with each pixel as a square of `times` x `times`.
    pub fn enlarged(&self, times: usize) -> Self {
        let width = self.width * times;
        let at = |i: usize| self.pixels[i / width / times * self.width + i % width / times];
        let pixels = (0..width * self.height() * times).map(at).collect();
        Self::new(self.title.clone(), width, pixels)
    }

    /// The picture reduced to a width, with its proportions: each pixel is the mean of those that it
    /// replaces.
    pub fn reduced(&self, width: usize) -> Self {
        let width = width.max(1);
        if width >= self.width {
            return self.clone();
        }
        let height = (self.height() * width).div_ceil(self.width).max(1);
        let part = |i: usize, of: usize, all: usize| {
            let start = i * all / of;
            start..((i + 1) * all).div_ceil(of).min(all).max(start + 1)
        };
        let mut pixels = Vec::with_capacity(width * height);
        for y in 0..height {
            let rows = part(y, height, self.height());
            for x in 0..width {
                let columns = part(x, width, self.width);
                let cells = rows
                    .clone()
                    .filter_map(|row| self.row(row)?.get(columns.clone()));
                pixels.push(mean(cells.flatten()));
            }
        }
        Self::new(self.title.clone(), width, pixels)
    }
}

fn mean<'a>(pixels: impl Iterator<Item = &'a [u8; 3]>) -> [u8; 3] {
    let (mut sums, mut count) = ([0_u64; 3], 0);
    for pixel in pixels {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(*value);
        }
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1)) as u8)
}

/// Rows of pictures as one picture, with each pixel as a square of `scale` x `scale` pixels.
pub fn sheet(rows: &[Vec<Panel>], scale: usize) -> Picture {
    let [width, height] = size(rows).map(|side| side * scale);
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb(BETWEEN));
    let mut top = GAP * scale;
    for row in rows {
        let mut left = GAP * scale;
        for panel in row {
            put(&mut sheet, panel, [left, top], scale);
            left += (panel.width + GAP) * scale;
        }
        top += (tallest(row) + GAP) * scale;
    }
    Picture::from(sheet)
}

/// Width and height of a sheet at a scale of 1.
pub fn size(rows: &[Vec<Panel>]) -> [usize; 2] {
    let width = |row: &Vec<Panel>| row.iter().map(|p| p.width + GAP).sum::<usize>();
    let widest = rows.iter().map(width).max().unwrap_or(0);
    let height: usize = rows.iter().map(|row| tallest(row) + GAP).sum();
    [widest + GAP, height + GAP]
}

fn tallest(row: &[Panel]) -> usize {
    row.iter().map(Panel::height).max().unwrap_or(0)
}

fn put(sheet: &mut RgbImage, panel: &Panel, [left, top]: [usize; 2], scale: usize) {
    let enlarged = panel.enlarged(scale);
    for y in 0..enlarged.height() {
        for (x, pixel) in enlarged.row(y).unwrap_or_default().iter().enumerate() {
            sheet.put_pixel((left + x) as u32, (top + y) as u32, Rgb(*pixel));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel() -> Panel {
        let grey = |value: u8| [value; 3];
        Panel::new("p", 2, [0, 10, 20, 30].map(grey).to_vec())
    }

    #[test]
    fn a_reduced_picture_is_the_mean_of_an_enlarged_one() {
        let large = panel().enlarged(3);
        assert_eq!((large.width, large.height()), (6, 6));
        assert_eq!(large.reduced(2), panel());
        assert_eq!(panel().reduced(1).row(0), Some(&[[15; 3]][..]));
        assert_eq!(panel().reduced(9), panel());
    }

    #[test]
    fn pictures_of_different_sizes_share_a_sheet() {
        let rows = [vec![panel(), panel().enlarged(2)], vec![panel()]];
        assert_eq!(size(&rows), [2 + 2 + 2 + 4 + 2, 2 + 4 + 2 + 2 + 2]);
        assert_eq!(sheet(&rows, 3).size(), [36, 36]);
    }
}
