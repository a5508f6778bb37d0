//! Radiance HDR and OpenEXR files are read to the pixels of their exported PNG, or refused with the
//! reason.

use std::io::Cursor;
use std::path::Path;

use exr::image::write::WritableImage;
use exr::image::write::layers::WritableLayers;
use exr::image::{Encoding, Image, Layer, SpecificChannels};
use exr::math::Vec2;
use exr::meta::attribute::IntegerBounds;
use exr::meta::header::LayerAttributes;
use exr::prelude::Compression;
use image::codecs::hdr::HdrEncoder;
use image::{Rgb, RgbImage};

use super::tests::{light, pattern};
use super::{DataError, Picture};

fn read(bytes: &[u8]) -> Result<Picture, DataError> {
    Picture::from_bytes(Path::new("a"), bytes)
}

fn pixels(bytes: &[u8]) -> Vec<u8> {
    read(bytes).unwrap().image.into_raw()
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).map(|_| ()).unwrap_err().to_string()
}

/// A Radiance file with these lines before the scanlines.
fn radiance(header: &str, scanlines: &[u8]) -> Vec<u8> {
    [header.as_bytes(), scanlines].concat()
}

/// A pixel of this grey light.
fn rgbe(level: u8) -> [u8; 4] {
    [level, level, level, 128]
}

#[test]
fn radiance_is_decoded_with_and_without_runs() {
    let light: Vec<Rgb<f32>> = pattern().pixels().map(light).collect();
    let mut file = Vec::new();
    HdrEncoder::new(&mut file).encode(&light, 13, 7).unwrap();
    let image = read(&file).unwrap().image;
    for (found, expected) in image.pixels().zip(pattern().pixels()) {
        // The darkest channel of a pixel has the exponent of the brightest.
        let brightest = expected.0.iter().max().unwrap();
        for (found, expected) in found.0.iter().zip(expected.0) {
            let near = found.abs_diff(expected) <= if expected == *brightest { 1 } else { 13 };
            assert!(near, "{found} {expected}");
        }
    }
    for length in 0..file.len() {
        let message = refusal(&file[..length]);
        let problem = if length == 0 {
            "the file is empty"
        } else {
            "format"
        };
        let expected = [problem, "damaged picture"];
        assert!(
            expected.iter().any(|part| message.contains(part)),
            "{length}: {message}"
        );
    }

    let runs = [rgbe(64), [1, 1, 1, 2], rgbe(128)].concat();
    let file = radiance("#?RGBE\nsoftware\n\n-Y 1 +X 4\n", &runs);
    assert_eq!(pixels(&file), [[137; 9].as_slice(), &[188; 3]].concat());
}

#[test]
fn radiance_is_turned_by_the_direction_of_its_scanlines() {
    let scanlines = [0, 10, 20, 30, 40, 50]
        .map(|level| rgbe(level * 4))
        .concat();
    let upright = pixels(&radiance("#?RADIANCE\n\n-Y 2 +X 3\n", &scanlines));
    let upright = RgbImage::from_raw(3, 2, upright).unwrap();
    // Each direction with the scanline and the pixel in it of the upright position x, y.
    type At = fn(u32, u32) -> [u32; 2];
    let directions: [(&str, At); 8] = [
        ("-Y 2 +X 3", |x, y| [y, x]),
        ("+Y 2 +X 3", |x, y| [1 - y, x]),
        ("-Y 2 -X 3", |x, y| [y, 2 - x]),
        ("+Y 2 -X 3", |x, y| [1 - y, 2 - x]),
        ("+X 2 -Y 3", |x, y| [x, y]),
        ("-X 2 -Y 3", |x, y| [1 - x, y]),
        ("+X 2 +Y 3", |x, y| [x, 2 - y]),
        ("-X 2 +Y 3", |x, y| [1 - x, 2 - y]),
    ];
    for (direction, at) in directions {
        let header = format!("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n{direction}\n");
        let image = read(&radiance(&header, &scanlines)).unwrap().image;
        for (x, y, pixel) in image.enumerate_pixels() {
            let [scanline, offset] = at(x, y);
            assert_eq!(pixel, upright.get_pixel(offset, scanline), "{direction}");
        }
    }
}

#[test]
fn radiance_that_is_not_read_is_refused_with_the_reason() {
    let files: [(&str, &[u8], &str); 5] = [
        (
            "FORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n",
            &[0; 4],
            "32-bit_rle_xyze",
        ),
        ("\n+Z 1 +X 1\n", &[0; 4], "no size"),
        (
            "\n-Y 9000 +X 9000\n",
            &[0; 4],
            "more than its bytes can hold",
        ),
        ("\n-Y 1 +X 0\n", &[0; 4], "expected at least one"),
        (
            "\n-Y 1 +X 9\n",
            &[[1, 1, 1, 0]; 9].concat(),
            "runs without a length",
        ),
    ];
    for (header, scanlines, reason) in files {
        let message = refusal(&radiance(&format!("#?RADIANCE\n{header}"), scanlines));
        assert!(message.contains(reason), "{message}");
    }
}

/// Writes an OpenEXR file.
fn open_exr<'a, L: WritableLayers<'a> + 'a>(image: impl WritableImage<'a, L>) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    image.write().non_parallel().to_buffered(&mut file).unwrap();
    file.into_inner()
}

/// An OpenEXR file of two pixels with these channels.
macro_rules! two_pixels {
    ($($channel:literal),*; $pixels:expr) => {{
        let channels = SpecificChannels::build()$(.with_channel($channel))*;
        let pixels = $pixels;
        let channels = channels.with_pixel_fn(move |at: Vec2<usize>| pixels[at.x()]);
        open_exr(&Image::from_channels((2, 1), channels))
    }};
}

/// The pattern in an OpenEXR file.
fn compressed(compression: Compression) -> Vec<u8> {
    let channels = SpecificChannels::rgb(|Vec2(x, y): Vec2<usize>| {
        let Rgb([r, g, b]) = light(pattern().get_pixel(x as u32, y as u32));
        (r, g, b)
    });
    let encoding = Encoding {
        compression,
        ..Encoding::FAST_LOSSLESS
    };
    let attributes = LayerAttributes::named("part");
    let layer = Layer::new((13, 7), attributes, encoding, channels);
    open_exr(&Image::from_layer(layer))
}

#[test]
fn open_exr_is_decoded_in_every_compression() {
    let all = [
        Compression::Uncompressed,
        Compression::RLE,
        Compression::ZIP1,
        Compression::ZIP16,
        Compression::PIZ,
        Compression::PXR24,
        Compression::B44,
        Compression::B44A,
        Compression::DWAA(None),
        Compression::DWAB(None),
    ];
    for compression in all {
        let file = compressed(compression);
        let most = match compression {
            Compression::DWAA(_) | Compression::DWAB(_) => 3,
            _ => 0,
        };
        let found = pixels(&file);
        let differences = found
            .iter()
            .zip(pattern().into_raw())
            .map(|(a, b)| a.abs_diff(b));
        assert!(differences.max() <= Some(most), "{compression:?}");
    }
}

#[test]
fn open_exr_has_grey_or_colours_with_premultiplied_alpha() {
    let grey = two_pixels!("Y"; [(0.5_f32,), (0.18,)]);
    assert_eq!(pixels(&grey), [188, 188, 188, 118, 118, 118]);
    // Other channels are ignored, and samples may have 16 bits.
    let half = exr::prelude::f16::from_f32;
    let depth = two_pixels!("R", "G", "B", "Z"; [
        (half(1.0), half(0.0), half(0.5), 7_u32),
        (half(0.0), half(0.18), half(0.0), 8),
    ]);
    assert_eq!(pixels(&depth), [255, 0, 188, 0, 118, 0]);
    // Black with an opacity of a half, and nothing, on white.
    let alpha = two_pixels!("R", "G", "B", "A"; [(0.0_f32, 0.0_f32, 0.0_f32, 0.5_f32), (0.0, 0.0, 0.0, 0.0)]);
    assert_eq!(pixels(&alpha), [127, 127, 127, 255, 255, 255]);
    // Half of 0.18 is 0.09.
    let alpha = two_pixels!("Y", "A"; [(0.09_f32, 0.5_f32), (0.0, 1.0)]);
    assert_eq!(pixels(&alpha), [186, 186, 186, 0, 0, 0]);
}

#[test]
fn the_display_window_of_open_exr_is_the_picture() {
    let channels = SpecificChannels::build()
        .with_channel("Y")
        .with_pixel_fn(|Vec2(x, y): Vec2<usize>| (if (x, y) == (0, 1) { 0.5_f32 } else { 0.18 },));
    let attributes = LayerAttributes::named("part").with_position(Vec2(-5, 9));
    let layer = Layer::new((2, 2), attributes, Encoding::UNCOMPRESSED, channels);
    let mut image = Image::from_layer(layer);
    image.attributes.display_window = IntegerBounds::new((-6, 10), (2, 2));
    let file = open_exr(&image);
    // Of the data window, only its lower left corner is shown, at the top right.
    let grey: Vec<u8> = pixels(&file).into_iter().step_by(3).collect();
    assert_eq!(grey, [0, 188, 0, 0]);
}

#[test]
fn light_above_1_is_reported_and_nan_refused() {
    let bright = two_pixels!("Y"; [(2.0_f32,), (f32::INFINITY,)]);
    let picture = read(&bright).unwrap();
    assert!(picture.is_clipped());
    assert_eq!(picture.image.into_raw(), [255; 6]);
    assert!(
        !read(&two_pixels!("Y"; [(1.0_f32,), (-1.0,)]))
            .unwrap()
            .is_clipped()
    );

    let message = refusal(&two_pixels!("Y"; [(f32::NAN,), (0.0,)]));
    assert!(
        message.contains("1 of its pixels is not a number (NaN)"),
        "{message}"
    );
}

#[test]
fn open_exr_that_is_not_read_is_refused_with_the_reason() {
    let depth = two_pixels!("Z", "layer.R"; [(0.0_f32, 0.0_f32), (0.0, 0.0)]);
    let whole = two_pixels!("R", "G", "B"; [(0_u32, 0_u32, 0_u32), (0, 0, 0)]);
    let chroma = two_pixels!("Y", "RY", "BY"; [(0.0_f32, 0.0_f32, 0.0_f32), (0.0, 0.0, 0.0)]);
    for (file, reason) in [
        (chroma, "its channels are BY, RY, Y;"),
        (depth, "its channels are Z, layer.R;"),
        (whole, "whole numbers"),
    ] {
        let message = refusal(&file);
        assert!(message.contains("unsupported kind of OpenEXR"), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn sizes_in_blocks_of_open_exr_are_checked_before_allocating() {
    // The decoder of DWA allocates what a block declares, which no machine has.
    let file = compressed(Compression::DWAA(None));
    for at in 0..file.len() - 8 {
        let mut file = file.clone();
        file[at..at + 8].copy_from_slice(&(i64::MAX >> 4).to_le_bytes());
        let _ = read(&file);
    }
}

#[test]
fn more_pixels_of_open_exr_than_a_file_can_hold_are_refused_before_allocating() {
    let mut file = two_pixels!("Y"; [(0.0_f32,), (0.0,)]);
    // The last column and row of the data window, and the number of tiles of 64x64 pixels.
    let values: [(&[u8], &[u32]); 2] = [
        (
            b"dataWindow\0box2i\0\x10\0\0\0\0\0\0\0\0\0\0\0",
            &[8_999, 8_999],
        ),
        (b"chunkCount\0int\0\x04\0\0\0", &[141 * 141]),
    ];
    for (name, values) in values {
        let at = file
            .windows(name.len())
            .position(|part| part == name)
            .unwrap()
            + name.len();
        let values: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        file[at..at + values.len()].copy_from_slice(&values);
    }
    let message = refusal(&file);
    assert!(
        message.contains("9000x9000 pixels, more than its bytes can hold"),
        "{message}"
    );
}
