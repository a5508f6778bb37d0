//! JPEG files, decoded by the `jpeg-decoder` crate. It reads every sampling and every order of
//! scans, within four levels of libjpeg (more if a picture is at most four pixels wide).
//! `zune-jpeg`, the faster decoder of the `image` crate, gives wrong colours or panics if each
//! component has its own scan or if luma is subsampled more than chroma.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use jpeg_decoder::{ColorTransform, Decoder, PixelFormat};

use super::super::error::DataError;
use super::file::PictureFile;

/// The most pixels per byte of a JPEG file: a block of 8x8 pixels takes at least one bit.
const MAX_PIXELS_PER_BYTE: u64 = 8 * 64;

pub(super) fn decode(file: PictureFile) -> Result<DynamicImage, DataError> {
    let Some(picture) = picture(file.bytes) else {
        return Err(DataError::contents(
            file.path,
            "damaged picture: the JPEG file is truncated; get a complete copy",
        ));
    };
    let mut decoder = Decoder::new(picture);
    if let Some(transform) = colour_transform(picture) {
        decoder.set_color_transform(transform);
    }
    decoder.read_info().map_err(|e| file.bad(e))?;
    let info = decoder
        .info()
        .ok_or_else(|| file.broken("it has no header"))?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let possible = MAX_PIXELS_PER_BYTE * picture.len() as u64;
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
pub(super) fn cmyk_to_rgb(inks: &[u8]) -> Vec<u8> {
    let colour = |[c, m, y, k]: &[u8; 4]| {
        let light = |ink: u8| (u32::from(255 - ink) * u32::from(255 - k) + 127) / 255;
        [*c, *m, *y].map(|ink| light(ink) as u8)
    };
    inks.as_chunks().0.iter().flat_map(colour).collect()
}

/// What three or four components mean, by libjpeg's rules: a JFIF marker decides, without one an
/// Adobe marker, and without either the identifiers of the components. The decoder would start with
/// the identifiers, although Adobe's programs give red, green and blue those of brightness and
/// chroma.
fn colour_transform(picture: &[u8]) -> Option<ColorTransform> {
    let (mut jfif, mut adobe, mut identifiers) = (false, None, Vec::new());
    for (marker, segment) in Markers::of(picture) {
        match (marker, segment) {
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) if segment.len() >= 14 => jfif = true,
            // A version, two flags and the transform.
            (0xee, segment) if segment.starts_with(b"Adobe") => {
                adobe = segment.get(11).copied().or(adobe)
            }
            (SCAN, _) => break,
            // Of a frame: precision, height, width, the number of components, and three bytes for
            // each.
            (0xc0..=0xc2, [_, _, _, _, _, _, components @ ..]) => {
                identifiers = components.iter().step_by(3).copied().collect();
            }
            _ => {}
        }
    }
    match (&identifiers[..], jfif, adobe) {
        ([_, _, _], true, _) => Some(ColorTransform::YCbCr),
        ([_, _, _], _, Some(0)) | ([b'R', b'G', b'B'], _, None) => Some(ColorTransform::RGB),
        ([_, _, _], ..) => Some(ColorTransform::YCbCr),
        ([_, _, _, _], _, None | Some(0)) => Some(ColorTransform::CMYK),
        ([_, _, _, _], ..) => Some(ColorTransform::YCCK),
        _ => None,
    }
}

/// The bytes of the picture up to its end marker. Trailing bytes, such as the video of a motion
/// photo, are not part of it. `None` if there is no end marker: the decoder would silently fill the
/// missing part with grey.
fn picture(bytes: &[u8]) -> Option<&[u8]> {
    let mut markers = Markers::of(bytes);
    let mut scans = 0;
    loop {
        match markers.next()?.0 {
            0xd9 if scans > 0 => return bytes.get(..markers.at),
            marker => scans += usize::from(marker == SCAN),
        }
    }
}

/// The marker that starts a scan.
const SCAN: u8 = 0xda;

/// The markers of a file after the first, each with the bytes of its segment.
struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 2 }
    }
}

impl<'a> Iterator for Markers<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // A marker is ff and a byte other than 00, which escapes a value of ff in a scan, and ff,
        // which is padding.
        let rest = self.bytes.get(self.at..)?;
        let skipped = rest
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))?;
        let marker = rest[skipped + 1];
        self.at += skipped + 2;
        // Markers without a segment, such as restarts.
        if matches!(marker, 0x01 | 0xd0..=0xd9) {
            return Some((marker, &[]));
        }
        let length = self.bytes.get(self.at..self.at + 2)?;
        let end = self.at + usize::from(u16::from_be_bytes([length[0], length[1]]));
        let segment = self.bytes.get(self.at + 2..end).unwrap_or_default();
        self.at = end;
        Some((marker, segment))
    }
}
