//! The picture formats: recognition, decoding, and the most pixels that a file can hold.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{bmp, farbfeld, gif, ico, pnm, qoi, tga};
use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage, RgbaImage};

use super::super::bounded::MAX_UNPACKED;
use super::super::error::DataError;
use super::file::{FORMATS, PictureFile};
use super::linear::DecodedPicture;
use super::{dds, jpeg, open_exr, radiance, tiff};

/// The file extensions of pictures, in lower case. A file's contents determine its format; only
/// files without a signature, TGA and some DIB, are recognised by their extension.
pub const EXTENSIONS: [&str; 24] = [
    "png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff", "tga",
    "pnm", "pbm", "pgm", "ppm", "pam", "qoi", "ico", "ff", "hdr", "exr", "dds",
];
/// Whether a file is a picture, judged by its extension.
pub fn is_picture(path: &Path) -> bool {
    extension(path).is_some_and(|extension| EXTENSIONS.contains(&&*extension))
}

fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_string_lossy().to_lowercase())
}

/// The format of a file.
pub fn format(path: &Path, bytes: &[u8]) -> Option<ImageFormat> {
    // A variant of TIFF for large files.
    let is_big_tiff = bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+");
    if is_big_tiff {
        return Some(ImageFormat::Tiff);
    }
    // The signature of many programs other than Radiance.
    if bytes.starts_with(b"#?RGBE") {
        return Some(ImageFormat::Hdr);
    }
    let by_extension = || match &*extension(path)? {
        "tga" => Some(ImageFormat::Tga),
        "dib" => Some(ImageFormat::Bmp),
        _ => None,
    };
    image::guess_format(bytes).ok().or_else(by_extension)
}

/// Decodes a file and rotates the pixels according to its EXIF data.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<DecodedPicture, DataError> {
    let file = PictureFile { path, bytes };
    match format(path, bytes) {
        Some(ImageFormat::Hdr) => radiance::decode(file),
        Some(ImageFormat::OpenExr) => open_exr::decode(file),
        format => integers(file, format).map(DecodedPicture::from),
    }
}

/// Decodes a format whose samples are whole numbers.
fn integers(file: PictureFile, format: Option<ImageFormat>) -> Result<DynamicImage, DataError> {
    let PictureFile { path, bytes } = file;
    let cursor = || Cursor::new(bytes);
    match format {
        _ if bytes.is_empty() => Err(DataError::contents(
            path,
            format!("the file is empty: expected a {FORMATS} file; get a complete copy"),
        )),
        Some(ImageFormat::Png) => png(file),
        Some(ImageFormat::Jpeg) => jpeg::decode(file),
        Some(ImageFormat::WebP) => webp(file),
        Some(ImageFormat::Bmp) => bmp(file),
        Some(ImageFormat::Gif) => file.pixels(gif::GifDecoder::new(cursor()), None),
        Some(ImageFormat::Tiff) => tiff::decode(file),
        Some(ImageFormat::Ico) => file.pixels(ico::IcoDecoder::new(cursor()), None),
        Some(ImageFormat::Farbfeld) => {
            file.pixels(farbfeld::FarbfeldDecoder::new(cursor()), Some(1))
        }
        Some(ImageFormat::Tga) => file.pixels(tga::TgaDecoder::new(cursor()), Some(64)),
        Some(ImageFormat::Pnm) => file.pixels(pnm::PnmDecoder::new(cursor()), Some(8)),
        Some(ImageFormat::Dds) => dds::decode(file),
        Some(ImageFormat::Qoi) => file.pixels(qoi::QoiDecoder::new(cursor()), Some(62)),
        other => {
            let what = other.map_or(String::new(), |other| format!(" ({other:?})"));
            let problem = format!("unsupported picture format{what}: expected a {FORMATS} file");
            Err(DataError::contents(path, problem))
        }
    }
}

/// Decodes a BMP file, which in a `.dib` file may lack its first header.
fn bmp(file: PictureFile) -> Result<DynamicImage, DataError> {
    let cursor = Cursor::new(file.bytes);
    let (decoder, compression) = if file.bytes.starts_with(b"BM") {
        (bmp::BmpDecoder::new(cursor), 30)
    } else {
        (bmp::BmpDecoder::new_without_file_header(cursor), 16)
    };
    // Run lengths may skip any number of pixels.
    let packed = matches!(file.bytes.get(compression), Some(1 | 2));
    file.pixels(decoder, (!packed).then_some(8))
}

fn png(file: PictureFile) -> Result<DynamicImage, DataError> {
    let mut header = png::Decoder::new(Cursor::new(file.bytes));
    let info = header.read_header_info().map_err(|e| file.bad(e))?;
    let packed_bits = 8 * file.bytes.len() as u64;
    let possible = packed_bits * MAX_UNPACKED / info.bits_per_pixel() as u64;
    let pixels = file.check_size([info.width, info.height], possible)?;
    let limits = file.limits(pixels);
    let decoder = image::codecs::png::PngDecoder::with_limits(Cursor::new(file.bytes), limits)
        .map_err(|e| file.bad(e))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| file.bad(e))?;
    let orientation = png_exif(file.bytes).and_then(orientation);
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// Uses `image_webp` directly, where the memory for metadata can be limited.
fn webp(file: PictureFile) -> Result<DynamicImage, DataError> {
    let bad = |error: image_webp::DecodingError| file.bad(error);
    // Bytes behind the picture may look like parts of it.
    let header: Option<&[u8; 8]> = file.bytes.first_chunk();
    let length = header.map(|&[.., a, b, c, d]| u32::from_le_bytes([a, b, c, d]) as usize + 8);
    let picture = length.and_then(|length| file.bytes.get(..length));
    let file = PictureFile {
        bytes: picture.unwrap_or(file.bytes),
        ..file
    };
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(file.bytes)).map_err(bad)?;
    decoder.set_memory_limit(file.bytes.len());
    let (width, height) = decoder.dimensions();
    file.check_size([width, height], u64::MAX)?;
    if largest_vp8(file.bytes) > u64::from(width) * u64::from(height) {
        return Err(file.broken("one of its frames is larger than the picture"));
    }
    let length = decoder.output_buffer_size();
    let mut pixels = vec![0; length.ok_or_else(|| file.broken("it is too large"))?];
    decoder.read_image(&mut pixels).map_err(bad)?;
    let exif = decoder.exif_metadata().map_err(bad)?;
    let image = if decoder.has_alpha() {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::from)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::from)
    };
    let mut image = image.ok_or_else(|| file.broken("its pixels have the wrong size"))?;
    let orientation = exif.and_then(|exif| orientation(&exif));
    image.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
    Ok(image)
}

/// The orientation in EXIF data, which some programs write with the signature that JPEG needs.
fn orientation(exif: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
}

/// The EXIF data of a PNG file. They may follow the pixels.
fn png_exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.get(8..)?;
    loop {
        let (length, chunk) = rest.split_first_chunk()?;
        let length = u32::from_be_bytes(*length) as usize;
        match chunk.first_chunk()? {
            b"eXIf" => return chunk.get(4..4 + length),
            b"IEND" => return None,
            _ => {}
        }
        // The name, the data and a checksum.
        rest = chunk.get(8 + length..)?;
    }
}

/// The most pixels that a lossy chunk of a WebP file declares. The decoder allocates memory for
/// them before it compares their number with the picture's.
fn largest_vp8(bytes: &[u8]) -> u64 {
    let parts = bytes.windows(18).filter_map(|part| match *part {
        // The name, a length, a tag, a signature, and width and height of 14 bits each.
        [
            b'V',
            b'P',
            b'8',
            b' ',
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            0x9d,
            0x01,
            0x2a,
            w0,
            w1,
            h0,
            h1,
        ] => {
            let side = |low, high| u64::from(u16::from_le_bytes([low, high]) & 0x3fff);
            Some(side(w0, w1) * side(h0, h1))
        }
        _ => None,
    });
    parts.max().unwrap_or(0)
}
