//! Pictures: files of any size, read and brought to a model's size.
//!
//! The formats are [`FORMATS`]; of an animation the first picture is read. A picture is turned as its
//! EXIF data say, sixteen bits become eight, and what is transparent becomes white, or black where
//! what is drawn is so bright that it would not show on white: where the mean brightness of its
//! pixels, weighted by alpha, is above three quarters.
//!
//! Sizes in a file's header are checked before memory is taken for the pixels: no more than 2^27 of
//! them, no more than 65,535 a side, and no more than a file of so many bytes can hold (of WebP, GIF
//! and BMP with packed runs a few bytes can hold any number). Reading takes
//! at most [`BYTES_PER_PIXEL`] for each, beside the file itself and what its format takes for colour
//! profiles and EXIF data, which is at most twice the file's size. Scaling takes as much for each
//! pixel of the picture's width and the new height.

mod file;
mod formats;
mod grey;
mod ground;
mod jpeg;
#[cfg(test)]
mod jpeg_tests;
mod resize;
#[cfg(test)]
mod tests;

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use image::{ImageFormat, RgbImage};

pub use file::{BYTES_PER_PIXEL, FORMATS, MOST_PIXELS};
pub(super) use formats::format;
pub use formats::{EXTENSIONS, is_picture};
pub(super) use grey::grey;

use super::error::DataError;
use super::interpolation::Interpolation;
use crate::disk::File;

/// A picture in memory, in colour.
#[derive(Clone)]
pub struct Picture {
    pub(super) image: RgbImage,
    blank: bool,
}

impl From<RgbImage> for Picture {
    fn from(image: RgbImage) -> Self {
        let blank = false;
        Self { image, blank }
    }
}

impl Picture {
    /// Reads a file of one of the [`FORMATS`]; its contents tell which, and for TGA its name.
    ///
    /// # Errors
    /// [`DataError::Read`] or, for what is no whole picture of a sane size, [`DataError::Contents`].
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_bytes(path, &bytes)
    }

    /// As [`Picture::read`], from the contents of the file at `path`.
    ///
    /// # Errors
    /// [`DataError::Contents`]
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let (image, blank) = ground::opaque(formats::decode(path, bytes)?);
        Ok(Self { image, blank })
    }

    /// Whether the picture is of one colour because it is transparent: nothing on it is seen.
    pub fn is_blank(&self) -> bool {
        self.blank
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.image.width() as usize, self.image.height() as usize]
    }

    /// Writes the picture as PNG, whatever the file is called.
    ///
    /// # Errors
    /// [`DataError::Contents`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        let mut bytes = Cursor::new(Vec::new());
        let encoded = self.image.write_to(&mut bytes, ImageFormat::Png);
        let saved = encoded.and_then(|()| {
            let mut file = File::create(path)?;
            Ok(file.write_all(bytes.get_ref())?)
        });
        saved.map_err(|error| {
            let problem =
                format!("cannot write the picture: {error}; expected room and permission");
            DataError::contents(path, problem).caused_by(error)
        })
    }

    /// The pixels as `[h, w, c]` for a model: grey for one channel, red, green and blue for three.
    /// The picture is stretched to the size, by [`Interpolation::Bilinear`].
    ///
    /// # Errors
    /// [`DataError::Channels`] for another number of channels.
    pub fn resized(&self, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
        self.resized_by(Interpolation::Bilinear, shape)
    }

    /// As [`Picture::resized`], by another interpolation.
    ///
    /// # Errors
    /// [`DataError::Channels`] for another number of channels.
    pub fn resized_by(
        &self,
        interpolation: Interpolation,
        shape: [usize; 3],
    ) -> Result<Vec<u8>, DataError> {
        match shape[2] {
            1 | 3 => Ok(resize::pixels(&self.image, shape, interpolation)),
            channels => Err(DataError::Channels { channels }),
        }
    }
}
