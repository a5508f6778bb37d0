//! Pixels, and their PNG.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::report::Drawing;

/// About the width and height of an enlarged image.
const SIDE: usize = 224;

/// A picture of pixels: red, green, blue, and 255 where it is not transparent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Pixels {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<[u8; 4]>,
}

impl Pixels {
    /// A transparent picture.
    pub fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![[0; 4]; width * height],
        }
    }

    /// A picture of these colours, row by row.
    pub fn of(width: usize, colours: &[[u8; 3]]) -> Self {
        let mut picture = Self::new(width, colours.len() / width.max(1));
        for (pixel, [r, g, b]) in picture.pixels.iter_mut().zip(colours) {
            *pixel = [*r, *g, *b, 255];
        }
        picture
    }

    /// Copies a picture into this one; what lies outside is cut off.
    pub fn paste(&mut self, other: &Self, [left, top]: [usize; 2]) {
        let width = other.width.min(self.width.saturating_sub(left));
        for y in 0..other.height.min(self.height.saturating_sub(top)) {
            let from = y * other.width;
            let to = (top + y) * self.width + left;
            self.pixels[to..to + width].copy_from_slice(&other.pixels[from..from + width]);
        }
    }

    /// Each pixel as a square of `scale` by `scale` pixels.
    pub fn enlarged(&self, scale: usize) -> Self {
        let mut large = Self::new(self.width * scale, self.height * scale);
        for (at, pixel) in large.pixels.iter_mut().enumerate() {
            let (y, x) = (at / (self.width * scale), at % (self.width * scale));
            *pixel = self.pixels[y / scale * self.width + x / scale];
        }
        large
    }

    /// Enlarged as often as fits into about `side` pixels of width and height.
    pub fn enlarged_to(&self, side: usize) -> Self {
        let longest = self.width.max(self.height).max(1);
        self.enlarged((side / longest).clamp(1, 16))
    }

    /// The picture as a PNG, with a palette if it has few colours.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn to_png(&self) -> Result<Drawing> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes)
            .map_err(|e| Error::Argument(format!("cannot encode a picture: {e}")))?;
        Ok(Drawing::Png(bytes))
    }

    fn encode(&self, bytes: &mut Vec<u8>) -> Result<(), png::EncodingError> {
        let mut encoder = png::Encoder::new(bytes, self.width as u32, self.height as u32);
        let palette = self.palette();
        let data: Vec<u8> = if palette.len() > 256 {
            encoder.set_color(png::ColorType::Rgba);
            self.pixels.concat()
        } else {
            encoder.set_color(png::ColorType::Indexed);
            encoder.set_palette(
                palette
                    .keys()
                    .flat_map(|p| [p[0], p[1], p[2]])
                    .collect::<Vec<_>>(),
            );
            encoder.set_trns(palette.keys().map(|p| p[3]).collect::<Vec<_>>());
            self.pixels
                .iter()
                .map(|pixel| palette[pixel] as u8)
                .collect()
        };
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&data)?;
        writer.finish()
    }

    /// The number of each colour.
    fn palette(&self) -> BTreeMap<[u8; 4], usize> {
        let mut palette: BTreeMap<[u8; 4], usize> = BTreeMap::new();
        for pixel in &self.pixels {
            palette.insert(*pixel, 0);
            if palette.len() > 256 {
                break;
            }
        }
        palette
            .values_mut()
            .enumerate()
            .for_each(|(i, number)| *number = i);
        palette
    }
}

/// The colours of an image, `[h, w, c]`: three channels are red, green and blue; any other number is
/// shown by its mean, from white for 0 to black, as `cnn-gpu show` does.
pub(in crate::report) fn rgb(image: &[u8], channels: usize) -> Vec<[u8; 3]> {
    let pixel = |cells: &[u8]| match *cells {
        [r, g, b] => [r, g, b],
        _ => {
            let sum: usize = cells.iter().map(|&cell| usize::from(cell)).sum();
            [255 - (sum / cells.len().max(1)) as u8; 3]
        }
    };
    image.chunks(channels.max(1)).map(pixel).collect()
}

/// An image, `[h, w, c]`, enlarged.
///
/// # Errors
/// An image without pixels.
pub(in crate::report) fn image(pixels: &[u8], [_, width, channels]: [usize; 3]) -> Result<Drawing> {
    Pixels::of(width, &rgb(pixels, channels))
        .enlarged_to(SIDE)
        .to_png()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(drawing: &Drawing) -> (png::ColorType, Vec<u8>) {
        let Drawing::Png(bytes) = drawing else {
            panic!("a PNG")
        };
        let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let kind = reader.info().color_type;
        let mut data = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut data).unwrap();
        (kind, data)
    }

    #[test]
    fn few_colours_take_a_palette_and_many_do_not() {
        let mut picture = Pixels::new(3, 1);
        picture.paste(&Pixels::of(2, &[[1, 2, 3], [255; 3]]), [1, 0]);
        let (kind, data) = decoded(&picture.to_png().unwrap());
        assert_eq!(kind, png::ColorType::Indexed);
        assert_eq!(data, [0, 0, 0, 0, 1, 2, 3, 255, 255, 255, 255, 255]);
        let many: Vec<[u8; 3]> = (0..300).map(|i| [i as u8, (i / 256) as u8, 7]).collect();
        let (kind, data) = decoded(&Pixels::of(20, &many).to_png().unwrap());
        assert_eq!(kind, png::ColorType::Rgba);
        assert_eq!(data[4 * 299..], [43, 1, 7, 255]);
        assert!(Pixels::new(0, 0).to_png().is_err());
    }

    #[test]
    fn pictures_are_enlarged_and_cut() {
        let two = Pixels::of(2, &[[1; 3], [2; 3]]);
        let large = two.enlarged(2);
        assert_eq!((large.width, large.height), (4, 2));
        assert_eq!(large.pixels[5][0], 1);
        let mut small = Pixels::new(1, 1);
        small.paste(&two, [0, 0]);
        small.paste(&two, [5, 5]);
        assert_eq!(small.pixels, [[1, 1, 1, 255]]);
        assert_eq!(two.enlarged_to(7).width, 6);
    }

    #[test]
    fn channels_are_colours_or_darkness() {
        assert_eq!(rgb(&[255, 0, 128], 3), [[255, 0, 128]]);
        assert_eq!(rgb(&[0, 200], 2), [[155; 3]]);
        assert_eq!(rgb(&[255, 0], 1), [[0; 3], [255; 3]]);
    }
}
