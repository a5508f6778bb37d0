//! Every format is decoded to the right pixels, and truncated files are refused.

use std::io::Cursor;
use std::path::Path;

use exr::prelude::{Image, SpecificChannels, Vec2, WritableImage as _};
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgb, RgbImage};

use super::*;

/// A picture whose pixels all have different colours.
pub(super) fn pattern() -> RgbImage {
    RgbImage::from_fn(13, 7, |x, y| {
        Rgb([x as u8 * 19, y as u8 * 36, (x * y) as u8 * 3])
    })
}

/// A colour's light.
pub(super) fn light(Rgb(colour): &Rgb<u8>) -> Rgb<f32> {
    Rgb(colour.map(|level| match f32::from(level) / 255.0 {
        dark @ ..0.04045 => dark / 12.92,
        srgb => ((srgb + 0.055) / 1.055).powf(2.4),
    }))
}

fn open_exr() -> Vec<u8> {
    let image = pattern();
    let channels = SpecificChannels::rgb(|Vec2(x, y): Vec2<usize>| {
        let Rgb([r, g, b]) = light(image.get_pixel(x as u32, y as u32));
        (r, g, b)
    });
    let mut file = Cursor::new(Vec::new());
    let image = Image::from_channels((13, 7), channels);
    image.write().non_parallel().to_buffered(&mut file).unwrap();
    file.into_inner()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn webp() -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = image_webp::WebPEncoder::new(&mut file);
    let rgb = image_webp::ColorType::Rgb8;
    encoder.encode(&pattern(), 13, 7, rgb).unwrap();
    file
}

/// The pattern in every lossless format.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let image = DynamicImage::from(pattern());
    let with = |format| encoded(&image, format);
    let wide = encoded(&image.to_rgba16().into(), ImageFormat::Farbfeld);
    let mut plain = Vec::new();
    let encoder = PnmEncoder::new(&mut plain);
    encoder
        .with_subtype(PnmSubtype::Pixmap(SampleEncoding::Ascii))
        .write_image(&pattern(), 13, 7, ExtendedColorType::Rgb8)
        .unwrap();
    vec![
        ("a.png", with(ImageFormat::Png)),
        ("a.webp", webp()),
        ("a.bmp", with(ImageFormat::Bmp)),
        ("a.gif", with(ImageFormat::Gif)),
        ("a.TGA", with(ImageFormat::Tga)),
        ("a.ppm", with(ImageFormat::Pnm)),
        ("plain.ppm", plain),
        ("a.qoi", with(ImageFormat::Qoi)),
        ("a.dib", with(ImageFormat::Bmp).split_off(14)),
        ("a.ico", encoded(&image.to_rgba8().into(), ImageFormat::Ico)),
        ("a.ff", wide),
        ("a.exr", open_exr()),
    ]
}

fn read(name: &str, bytes: &[u8]) -> Result<RgbImage, DataError> {
    Picture::from_bytes(Path::new(name), bytes).map(|picture| picture.image)
}

#[test]
fn every_format_is_decoded_to_the_right_pixels() {
    for (name, bytes) in files() {
        assert!(is_picture(Path::new(name)), "{name}");
        assert_eq!(read(name, &bytes).unwrap(), pattern(), "{name}");
        // The contents determine the format, not the name.
        if !["a.TGA", "a.dib"].contains(&name) {
            assert_eq!(read("a.jpg", &bytes).unwrap(), pattern(), "{name}");
        }
    }
}

#[test]
fn a_truncated_file_gives_an_error_or_all_of_its_pixels() {
    // Missing digits at the end of a number in text cannot be detected.
    for (name, bytes) in files().into_iter().filter(|(name, _)| *name != "plain.ppm") {
        let mut refused = 0;
        for length in 0..bytes.len() {
            match read(name, &bytes[..length]) {
                Ok(image) => assert_eq!(image, pattern(), "{name} cut at {length}"),
                Err(_) => refused += 1,
            }
        }
        // Bytes after the pixels may be missing.
        assert!(
            refused > bytes.len() / 2,
            "{name}: {refused} of {}",
            bytes.len()
        );
    }
}

#[test]
fn more_pixels_than_a_file_can_hold_are_refused_before_allocating() {
    let bmp = [&b"BM"[..], &[0; 12], &[40, 0, 0, 0]].concat();
    let bmp = [&bmp[..], &9_000_u32.to_le_bytes(), &9_000_u32.to_le_bytes()].concat();
    let bmp = [&bmp[..], &[1, 0, 24, 0], &[0; 24]].concat();
    let qoi = [&b"qoif"[..], &[0, 0, 40, 0, 0, 0, 40, 0, 3, 0]].concat();
    let tga = [0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 40, 24, 0];
    let pnm = b"P6 9000 9000 255 ";
    let files: [(&str, &[u8]); 4] = [("a", &bmp), ("a", &qoi), ("a.tga", &tga), ("a", pnm)];
    for (name, bytes) in files {
        let message = read(name, bytes).unwrap_err().to_string();
        assert!(
            message.contains("more than its bytes can hold"),
            "{message}"
        );
    }
}

/// EXIF data with one entry, an orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let header = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0";
    [&header[..], &[orientation, 0, 0, 0], &[0; 4]].concat()
}

#[test]
fn pictures_are_rotated_by_exif_data_wherever_png_and_webp_keep_them() {
    let turned = image::imageops::rotate90(&pattern());
    let signed = [b"Exif\0\0", &exif(6)[..]].concat();
    for exif in [exif(6), signed] {
        let png = encoded(&pattern().into(), ImageFormat::Png);
        let mut chunk = [&(exif.len() as u32).to_be_bytes()[..], b"eXIf", &exif].concat();
        let mut checksum = flate2::Crc::new();
        checksum.update(&chunk[4..]);
        chunk.extend(checksum.sum().to_be_bytes());
        // Behind the header of 33 bytes, and between the pixels and the end of 12 bytes.
        for at in [33, png.len() - 12] {
            let file = [&png[..at], &chunk, &png[at..]].concat();
            assert_eq!(read("a.png", &file).unwrap(), turned, "{at}");
        }
        // What lies behind the end is not part of the picture.
        let file = [&png[..], &chunk].concat();
        assert_eq!(read("a.png", &file).unwrap(), pattern());

        let mut file = Vec::new();
        let mut encoder = image_webp::WebPEncoder::new(&mut file);
        encoder.set_exif_metadata(exif);
        let rgb = image_webp::ColorType::Rgb8;
        encoder.encode(&pattern(), 13, 7, rgb).unwrap();
        assert_eq!(read("a.webp", &file).unwrap(), turned);
    }
}

#[test]
fn bytes_behind_a_webp_picture_are_ignored() {
    let big = b"VP8 \0\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f";
    let file = [&webp()[..], big].concat();
    assert_eq!(read("a.webp", &file).unwrap(), pattern());
}

#[test]
fn an_empty_file_is_named() {
    let message = read("a.png", b"").unwrap_err().to_string();
    assert!(message.contains("the file is empty"), "{message}");
}

#[test]
fn an_unsupported_format_is_named() {
    let avif = b"\0\0\0\x20ftypavif";
    let message = read("a.avif", avif).unwrap_err().to_string();
    assert!(message.contains("(Avif): expected a PNG"), "{message}");
}
