//! A picture's file: limits of its size and memory, and decoding.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageResult, Limits};

use super::super::error::DataError;

/// The supported formats, for messages.
pub const FORMATS: &str =
    "PNG, JPEG, WebP, BMP, GIF, TIFF, TGA, PNM, QOI, ICO, farbfeld, HDR, EXR or DDS";
/// The most pixels in a picture, more than any camera takes.
pub const MAX_PIXELS: u64 = 1 << 27;
/// The most bytes that a pixel takes while a picture is read: four channels of 16 bits, twice while
/// the picture is rotated.
pub const BYTES_PER_PIXEL: u64 = 16;
/// The most pixels in a row or a column, as in JPEG.
pub(super) const MAX_SIDE: u32 = 65_535;
/// The memory that a decoder may take for any file.
const SMALL: u64 = 1 << 16;

/// A picture's file to decode.
#[derive(Clone, Copy)]
pub(super) struct PictureFile<'a> {
    pub(super) path: &'a Path,
    pub(super) bytes: &'a [u8],
}

impl PictureFile<'_> {
    /// Decodes the pixels. A byte of the file may hold this many pixels, or any number (`None`).
    pub(super) fn pixels(
        self,
        decoder: ImageResult<impl ImageDecoder>,
        to_a_byte: Option<u64>,
    ) -> Result<DynamicImage, DataError> {
        let mut decoder = decoder.map_err(|e| self.bad(e))?;
        let (width, height) = decoder.dimensions();
        let length = self.bytes.len() as u64;
        let possible = to_a_byte.map_or(u64::MAX, |pixels| pixels * length);
        let pixels = self.check_size([width, height], possible)?;
        let limited = decoder.set_limits(self.limits(pixels));
        limited.map_err(|e| self.bad(e))?;
        self.decode(decoder)
    }

    /// The memory that a decoder may take: for the pixels, and for profiles, which may be
    /// compressed.
    pub(super) fn limits(self, pixels: u64) -> Limits {
        let mut limits = Limits::default();
        limits.max_alloc = Some(BYTES_PER_PIXEL * pixels + 2 * self.bytes.len() as u64 + SMALL);
        limits
    }

    /// Checks the size and returns the number of pixels; `possible` is how many the file can hold.
    pub(super) fn check_size(
        self,
        [width, height]: [u32; 2],
        possible: u64,
    ) -> Result<u64, DataError> {
        let pixels = u64::from(width) * u64::from(height);
        let problem = match pixels {
            0 => ": expected at least one",
            _ if pixels > MAX_PIXELS || width.max(height) > MAX_SIDE => {
                ": expected at most 2^27, with at most 65535 a side"
            }
            _ if pixels > possible => ", more than its bytes can hold; get a complete copy",
            _ => return Ok(pixels),
        };
        let problem = format!("its header declares {width}x{height} pixels{problem}");
        Err(DataError::contents(self.path, problem))
    }

    pub(super) fn decode(self, mut decoder: impl ImageDecoder) -> Result<DynamicImage, DataError> {
        let orientation = decoder.orientation().map_err(|e| self.bad(e))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| self.bad(e))?;
        image.apply_orientation(orientation);
        Ok(image)
    }

    /// The error for a picture that the decoder rejects.
    pub(super) fn bad(self, error: impl Error + Send + Sync + 'static) -> DataError {
        self.broken(&error).caused_by(error)
    }

    /// The error for a damaged picture.
    pub(super) fn broken(self, what: impl Display) -> DataError {
        let problem = format!("damaged picture: {what}; expected a complete {FORMATS} file");
        DataError::contents(self.path, problem)
    }
}
