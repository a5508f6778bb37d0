//! Pictures: PNG and JPEG files of any size, read and brought to a model's size.
//!
//! A picture is turned as its EXIF data say, what is transparent becomes white, and sixteen bits
//! become eight.
//!
//! Sizes in a file's header are checked before memory is taken for the pixels: no more than 2^27 of
//! them, no more than 65,535 a side, and no more than a file of so many bytes can hold. Reading takes
//! at most [`BYTES_PER_PIXEL`] for each, beside the file itself and what its format takes for colour
//! profiles and EXIF data, which is at most twice the file's size. Scaling takes as much for each
//! pixel of the picture's width and the new height.

use std::fmt::Display;
use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, Limits, Rgb, RgbImage, Rgba};

use super::DataError;
use super::bounded::MOST_UNPACKED;
use crate::disk::File;

/// The most pixels in a picture: more than any camera's.
pub const MOST_PIXELS: u64 = 1 << 27;
/// The most pixels in a row or a column; JPEG knows no more either.
const MOST_SIDE: u32 = 65_535;
/// The most memory that a pixel takes while a picture is read: four channels of sixteen bits, and
/// once more when the picture is turned.
pub const BYTES_PER_PIXEL: u64 = 16;
/// No byte of a JPEG becomes more pixels than this: a block of 8x8 pixels takes at least one bit.
const MOST_JPEG_PIXELS: u64 = 8 * 64;
/// What a decoder may take whatever the size of its file.
const SMALL: u64 = 1 << 16;

/// A picture in memory, in colour.
pub struct Picture(pub(super) RgbImage);

impl Picture {
    /// Reads a PNG or JPEG file; its contents tell which, not its name.
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
        let decoded = match image::guess_format(bytes).ok() {
            Some(ImageFormat::Png) => png(path, bytes),
            Some(ImageFormat::Jpeg) => jpeg(path, bytes),
            _ => Err(DataError::contents(
                path,
                "not a picture this program reads: expected a PNG or JPEG file",
            )),
        };
        decoded.map(|image| Self(on_white(image)))
    }

    /// Width and height in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.0.width() as usize, self.0.height() as usize]
    }

    /// Writes the picture as PNG, whatever the file is called.
    ///
    /// # Errors
    /// [`DataError::Contents`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), DataError> {
        let mut bytes = Cursor::new(Vec::new());
        let encoded = self.0.write_to(&mut bytes, ImageFormat::Png);
        let saved = encoded.and_then(|()| {
            let mut file = File::create(path)?;
            Ok(file.write_all(bytes.get_ref())?)
        });
        saved.map_err(|error| {
            let problem =
                format!("cannot write the picture: {error}; expected room and permission");
            DataError::contents(path, problem)
        })
    }

    /// The pixels as `[h, w, c]` for a model: grey for one channel, red, green and blue for three.
    /// The picture is stretched to the size, and each pixel is the mean of those it covers.
    ///
    /// # Errors
    /// [`DataError::Channels`] for another number of channels.
    pub fn resized(&self, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
        let [height, width, channels] = shape;
        let size = [width as u32, height as u32];
        match channels {
            1 => Ok(grey(&scaled(&self.0, size))),
            3 => Ok(scaled(&self.0, size).into_raw()),
            channels => Err(DataError::Channels { channels }),
        }
    }
}

/// Scales to a size in pixels.
pub(super) fn scaled(image: &RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    match image.dimensions() == (width, height) {
        true => image.clone(),
        false => image::imageops::resize(image, width, height, FilterType::Triangle),
    }
}

/// The brightness of each pixel, with the weights of ITU-R BT.601 as Keras's loader has them.
pub(super) fn grey(image: &RgbImage) -> Vec<u8> {
    let brightness = |Rgb([r, g, b]): &Rgb<u8>| {
        let sum = 19_595 * u32::from(*r) + 38_470 * u32::from(*g) + 7_471 * u32::from(*b);
        ((sum + 0x8000) >> 16) as u8
    };
    image.pixels().map(brightness).collect()
}

fn png(path: &Path, bytes: &[u8]) -> Result<DynamicImage, DataError> {
    let mut header = png::Decoder::new(Cursor::new(bytes));
    let info = header.read_header_info().map_err(|e| bad(path, &e))?;
    let packed_bits = 8 * bytes.len() as u64;
    let possible = packed_bits * MOST_UNPACKED / info.bits_per_pixel() as u64;
    let pixels = check_size(path, [info.width, info.height], possible)?;
    let mut limits = Limits::default();
    // For a row of pixels, and for profiles, which may be packed as well.
    limits.max_alloc = Some(BYTES_PER_PIXEL * pixels + 2 * bytes.len() as u64 + SMALL);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits).map_err(|e| bad(path, &e))?;
    decode(path, decoder)
}

fn jpeg(path: &Path, bytes: &[u8]) -> Result<DynamicImage, DataError> {
    if !ends_well(bytes) {
        return Err(DataError::contents(
            path,
            "not a whole picture: the JPEG file has no end; get it again",
        ));
    }
    let decoder = JpegDecoder::new(Cursor::new(bytes)).map_err(|e| bad(path, &e))?;
    let (width, height) = decoder.dimensions();
    check_size(path, [width, height], MOST_JPEG_PIXELS * bytes.len() as u64)?;
    decode(path, decoder)
}

/// The number of pixels, which can be no more than those that so many bytes can hold.
fn check_size(path: &Path, [width, height]: [u32; 2], possible: u64) -> Result<u64, DataError> {
    let pixels = u64::from(width) * u64::from(height);
    let problem = match pixels {
        0 => ": expected at least one",
        _ if pixels > MOST_PIXELS || width.max(height) > MOST_SIDE => {
            ": expected at most 2^27, and 65535 a side"
        }
        _ if pixels > possible => ", more than its bytes can hold; get it again",
        _ => return Ok(pixels),
    };
    let problem = format!("its header promises {width}x{height} pixels{problem}");
    Err(DataError::contents(path, problem))
}

fn decode(path: &Path, mut decoder: impl ImageDecoder) -> Result<DynamicImage, DataError> {
    let orientation = decoder.orientation().map_err(|e| bad(path, &e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| bad(path, &e))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG file's last scan (marker ff da) is followed by the end (ff d9): the decoder would
/// fill what is cut off with grey, and say nothing.
fn ends_well(bytes: &[u8]) -> bool {
    let last = |marker| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    matches!((last(0xda), last(0xd9)), (Some(scan), Some(end)) if scan < end)
}

fn bad(path: &Path, error: &dyn Display) -> DataError {
    let problem =
        format!("not a whole picture: {error}; expected a PNG or JPEG file, get it again");
    DataError::contents(path, problem)
}

/// Without transparency, with eight bits to a channel.
fn on_white(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *image.get_pixel(x, y);
        let mix = |channel: u8| {
            let (channel, alpha) = (u32::from(channel), u32::from(alpha));
            ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([r, g, b].map(mix))
    })
}
