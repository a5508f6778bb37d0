//! Pictures: image files of any size, decoded and resized for a model.
//!
//! The supported formats are [`FORMATS`]; only the first frame of an animation is read. A picture
//! is rotated according to its EXIF data, and 16-bit channels are reduced to 8 bits. Linear light,
//! as in Radiance HDR and OpenEXR, is clipped to 0 to 1 and becomes sRGB. Transparency is blended
//! with white, or with black if the drawing is too bright to show on white: if its mean brightness,
//! weighted by alpha, is above three quarters.
//!
//! The size in a file's header is checked before memory is allocated for the pixels: at most 2^27
//! pixels, at most 65,535 a side, and no more pixels than a file of that size can hold (a few bytes
//! of WebP, GIF, run-length encoded BMP, TIFF of CCITT Group 4, OpenEXR of DWA or with a larger
//! display window can hold any number). Decoding takes at most [`BYTES_PER_PIXEL`] per pixel, in
//! addition to the file itself and to its colour profiles and EXIF data, which take at most twice
//! the file's size, and to a block of OpenEXR with all its channels, which takes at most 32 times
//! its size. Resizing takes as much for each pixel of the old width and the new height.

mod background;
mod dds;
#[cfg(test)]
mod dds_tests;
mod file;
mod formats;
mod grey;
mod jpeg;
#[cfg(test)]
mod jpeg_tests;
mod linear;
#[cfg(test)]
mod linear_tests;
mod open_exr;
mod radiance;
mod resize;
#[cfg(test)]
mod tests;
mod tiff;
#[cfg(test)]
mod tiff_tests;

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use image::{ImageFormat, RgbImage};

pub use file::{BYTES_PER_PIXEL, FORMATS, MAX_PIXELS};
pub(super) use formats::format;
pub use formats::{EXTENSIONS, is_picture};
pub(super) use grey::grey;

use super::error::DataError;
use super::interpolation::Interpolation;
use crate::disk::File;

/// A decoded picture in colour.
#[derive(Clone)]
pub struct Picture {
    pub(super) image: RgbImage,
    blank: bool,
    clipped: bool,
}

impl From<RgbImage> for Picture {
    fn from(image: RgbImage) -> Self {
        Self {
            image,
            blank: false,
            clipped: false,
        }
    }
}

impl Picture {
    /// Reads a file in one of the [`FORMATS`]. Its contents determine the format, except for TGA
    /// and headerless DIB, which are recognised by their names.
    ///
    /// # Errors
    /// [`DataError::Read`], or [`DataError::Contents`] if the picture is damaged or too large.
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let bytes = fs::read(path).map_err(|source| DataError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_bytes(path, &bytes)
    }

    /// Like [`Picture::read`], from the contents of the file at `path`.
    ///
    /// # Errors
    /// [`DataError::Contents`] if the picture is damaged or too large.
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        let linear::DecodedPicture { image, clipped } = formats::decode(path, bytes)?;
        let (image, blank) = background::opaque(image);
        Ok(Self {
            image,
            blank,
            clipped,
        })
    }

    /// Whether transparency leaves a single colour, so that the picture shows nothing.
    pub fn is_blank(&self) -> bool {
        self.blank
    }

    /// Whether light above 1 was clipped: the file is Radiance HDR or OpenEXR, whose values have no
    /// upper limit.
    pub fn is_clipped(&self) -> bool {
        self.clipped
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.image.width() as usize, self.image.height() as usize]
    }

    /// Writes the picture as PNG, whatever the file's extension.
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
                format!("cannot write the picture: {error}; expected free space and permission");
            DataError::contents(path, problem).caused_by(error)
        })
    }

    /// The pixels as `[h, w, c]` for a model: grey for one channel, red, green and blue for three.
    /// Stretches the picture to the size by [`Interpolation::Bilinear`].
    ///
    /// # Errors
    /// [`DataError::Channels`] for another number of channels.
    pub fn resized(&self, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
        self.resized_by(Interpolation::Bilinear, shape)
    }

    /// Like [`Picture::resized`], with a choice of interpolation.
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
