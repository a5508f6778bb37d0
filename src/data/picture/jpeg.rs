//! JPEG files, decoded by the `jpeg-decoder` crate. It reads every sampling and every order of
//! scans, within three levels of libjpeg. `zune-jpeg`, the faster decoder of the `image` crate,
//! gives wrong colours or panics if each component has its own scan or if luma is subsampled more
//! than chroma.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{Decoder, PixelFormat};

use super::super::error::DataError;
use super::file::File;

/// The most pixels per byte of a JPEG file: a block of 8x8 pixels takes at least one bit.
const MOST_PIXELS_PER_BYTE: u64 = 8 * 64;

pub(super) fn decode(file: File) -> Result<DynamicImage, DataError> {
    let Some(picture) = picture(file.bytes) else {
        return Err(DataError::contents(
            file.path,
            "damaged picture: the JPEG file is truncated; get a complete copy",
        ));
    };
    let mut decoder = Decoder::new(picture);
    decoder.read_info().map_err(|e| file.bad(e))?;
    let info = decoder
        .info()
        .ok_or_else(|| file.broken("it has no header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let possible = MOST_PIXELS_PER_BYTE * picture.len() as u64;
    file.check_size([width, height], possible)?;
    let pixels = decoder.decode().map_err(|e| file.bad(e))?;
    let exif = decoder.exif_data().and_then(Orientation::from_exif_chunk);
    // Frees the decoder's memory.
    drop(decoder);
    let image = match info.pixel_format {
        PixelFormat::L8 => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::RGB24 => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
        PixelFormat::CMYK32 => {
            RgbImage::from_raw(width, height, cmyk_to_rgb(&pixels)).map(DynamicImage::from)
        }
        PixelFormat::L16 => None,
    };
    let mut image = image.ok_or_else(|| file.broken("it has more than 8 bits per channel"))?;
    image.apply_orientation(exif.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// Converts cyan, magenta, yellow and black on white paper to red, green and blue.
fn cmyk_to_rgb(inks: &[u8]) -> Vec<u8> {
    let colour = |[c, m, y, k]: &[u8; 4]| {
        let light = |ink: u8| (u32::from(255 - ink) * u32::from(255 - k) + 127) / 255;
        [*c, *m, *y].map(|ink| light(ink) as u8)
    };
    inks.as_chunks().0.iter().flat_map(colour).collect()
}

/// The bytes of the picture up to its end marker. Trailing bytes, such as the video of a motion
/// photo, are not part of it. `None` if there is no end marker: the decoder would silently fill the
/// missing part with grey.
fn picture(bytes: &[u8]) -> Option<&[u8]> {
    let (mut at, mut scans) = (2, 0);
    loop {
        // A marker is ff and a byte other than 00, which escapes a value of ff in a scan, and ff,
        // which is padding.
        let rest = bytes.get(at..)?;
        let skipped = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))?;
        let marker = rest[skipped + 1];
        at += skipped + 2;
        match marker {
            0xd9 if scans > 0 => return bytes.get(..at),
            // Markers without a segment, such as restarts.
            0x01 | 0xd0..=0xd9 => {}
            _ => {
                let length = bytes.get(at..at + 2)?;
                at += usize::from(u16::from_be_bytes([length[0], length[1]]));
                scans += usize::from(marker == 0xda);
            }
        }
    }
}
