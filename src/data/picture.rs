//! Pictures: PNG and JPEG files of any size, read and brought to a model's size.
//!
//! A picture is turned as its EXIF data say, what is transparent becomes white, and sixteen bits
//! become eight. Sizes in a file's header are checked before memory is taken for the pixels.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder};
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, Limits, Rgb, RgbImage, Rgba};

use super::DataError;
use crate::disk::File;

/// The most pixels in a picture: more than any camera's.
const MOST_PIXELS: u64 = 1 << 27;
/// No packed byte of a PNG becomes more than this many bytes of pixels.
const MOST_UNPACKED: u64 = 1100;

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
        let decoded = match image::guess_format(&bytes).ok() {
            Some(ImageFormat::Png) => {
                let packed = Some(bytes.len() as u64);
                PngDecoder::with_limits(Cursor::new(&bytes), Limits::default())
                    .map_err(|error| bad(path, &error))
                    .and_then(|decoder| decode(path, decoder, packed))
            }
            Some(ImageFormat::Jpeg) if !ends_well(&bytes) => Err(DataError::contents(
                path,
                "not a whole picture: the JPEG file has no end; get it again",
            )),
            Some(ImageFormat::Jpeg) => JpegDecoder::new(Cursor::new(&bytes))
                .map_err(|error| bad(path, &error))
                .and_then(|decoder| decode(path, decoder, None)),
            _ => Err(DataError::contents(
                path,
                "not a picture this program reads: expected a PNG or JPEG file",
            )),
        };
        decoded.map(|image| Self(on_white(&image)))
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

fn decode(
    path: &Path,
    mut decoder: impl ImageDecoder,
    packed: Option<u64>,
) -> Result<DynamicImage, DataError> {
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let unpacked = decoder.total_bytes();
    if pixels == 0 || pixels > MOST_PIXELS {
        let problem = format!("its header promises {width}x{height} pixels: expected at most 2^27");
        return Err(DataError::contents(path, problem));
    }
    if packed.is_some_and(|packed| packed.saturating_mul(MOST_UNPACKED) < unpacked) {
        let problem = format!(
            "its header promises {width}x{height} pixels, more than its bytes can hold; get it again"
        );
        return Err(DataError::contents(path, problem));
    }
    let orientation = decoder.orientation().map_err(|error| bad(path, &error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| bad(path, &error))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// Whether a JPEG file's last scan (marker ff da) is followed by the end (ff d9): the decoder would
/// fill what is cut off with grey, and say nothing.
fn ends_well(bytes: &[u8]) -> bool {
    let last = |marker| bytes.windows(2).rposition(|pair| pair == [0xff, marker]);
    matches!((last(0xda), last(0xd9)), (Some(scan), Some(end)) if scan < end)
}

fn bad(path: &Path, error: &image::ImageError) -> DataError {
    let reason = error.to_string().replace('\n', " ");
    let problem =
        format!("not a whole picture: {reason}; expected a PNG or JPEG file, get it again");
    DataError::contents(path, problem)
}

/// Without transparency, with eight bits to a channel.
fn on_white(image: &DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.to_rgb8();
    }
    let image = image.to_rgba8();
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *image.get_pixel(x, y);
        let mix = |channel: u8| {
            let (channel, alpha) = (u32::from(channel), u32::from(alpha));
            ((channel * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([r, g, b].map(mix))
    })
}
