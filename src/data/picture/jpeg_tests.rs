//! JPEG files of every sampling and order of scans, with trailing bytes, and truncated.

use std::path::Path;

use image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::*;

const SAMPLINGS: [SamplingFactor; 8] = [
    SamplingFactor::R_4_4_4,
    SamplingFactor::R_4_4_0,
    SamplingFactor::R_4_4_1,
    SamplingFactor::R_4_2_2,
    SamplingFactor::R_4_2_0,
    SamplingFactor::R_4_2_1,
    SamplingFactor::R_4_1_1,
    SamplingFactor::R_4_1_0,
];

/// A smooth picture, which JPEG compresses with little loss.
fn smooth(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |at: u32, length: f32| (128.0 + 80.0 * (at as f32 / length).sin()) as u8;
        Rgb([wave(x, 19.0), wave(y, 17.0), wave(x + y, 31.0)])
    })
}

struct Order {
    name: &'static str,
    /// Whether each component has its own scan.
    apart: bool,
    progressive: bool,
}

impl Order {
    /// Blocks between two restarts. The encoder cannot write restarts in separate scans.
    fn restart(&self) -> u16 {
        if self.apart { 0 } else { 2 }
    }
}

const ORDERS: [Order; 3] = [
    Order {
        name: "one scan",
        apart: false,
        progressive: false,
    },
    Order {
        name: "a scan per component",
        apart: true,
        progressive: false,
    },
    Order {
        name: "progressive",
        apart: false,
        progressive: true,
    },
];

fn encoded(image: &RgbImage, sampling: SamplingFactor, order: &Order, restart: u16) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, 97);
    encoder.set_sampling_factor(sampling);
    encoder.set_optimized_huffman_tables(order.apart);
    encoder.set_progressive(order.progressive);
    encoder.set_restart_interval(restart);
    let [width, height] = [image.width(), image.height()].map(|side| side as u16);
    encoder
        .encode(image, width, height, ColorType::Rgb)
        .unwrap();
    file
}

fn read(bytes: &[u8]) -> Result<RgbImage, String> {
    let read = Picture::from_bytes(Path::new("a.jpg"), bytes);
    read.map(|picture| picture.image)
        .map_err(|error| error.to_string())
}

fn furthest(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!(a.dimensions(), b.dimensions());
    let pairs = a.as_raw().iter().zip(b.as_raw());
    pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0)
}

fn count(bytes: &[u8], marker: u8) -> usize {
    bytes
        .windows(2)
        .filter(|pair| **pair == [0xff, marker])
        .count()
}

#[test]
fn every_sampling_size_and_order_of_scans_gives_the_same_pixels() {
    for sampling in SAMPLINGS {
        for (width, height) in [(40, 48), (17, 19), (1, 1), (33, 16), (16, 33), (7, 70)] {
            let image = smooth(width, height);
            let mut first = None;
            for order in &ORDERS {
                // The encoder cannot write restarts in separate scans; see below for those.
                for restart in if order.apart { 0..1 } else { 0..4 } {
                    let case = format!(
                        "{sampling:?} {width}x{height} {} restart {restart}",
                        order.name
                    );
                    let bytes = encoded(&image, sampling, order, restart);
                    if order.apart {
                        assert_eq!(count(&bytes, 0xda), 3, "{case}");
                    }
                    let found = read(&bytes).unwrap();
                    let off = furthest(&found, &image);
                    assert!(off <= 14, "{case}: {off} off");
                    // The same coefficients in any order.
                    assert_eq!(*first.get_or_insert(found.clone()), found, "{case}");
                }
            }
        }
    }
}

#[test]
fn separate_scans_with_restarts_and_subsampled_brightness_are_read() {
    // 17x19 pixels each, made by a simple encoder; the files of a row hold the same coefficients.
    let rows: [&[&[u8]]; 2] = [
        &[
            include_bytes!("jpeg/420_together.jpg"),
            include_bytes!("jpeg/420_apart.jpg"),
            include_bytes!("jpeg/420_apart_restarts.jpg"),
        ],
        &[
            include_bytes!("jpeg/luma_subsampled_together.jpg"),
            include_bytes!("jpeg/luma_subsampled_apart.jpg"),
        ],
    ];
    // Means of red, green and blue according to Pillow.
    let means = [[187.4, 143.6, 183.0], [187.3, 143.7, 183.0]];
    for (row, means) in rows.into_iter().zip(means) {
        let images: Vec<_> = row.iter().map(|bytes| read(bytes).unwrap()).collect();
        for image in &images {
            assert_eq!(*image, images[0]);
        }
        for (channel, expected) in means.into_iter().enumerate() {
            let sum: f64 = images[0]
                .pixels()
                .map(|pixel| f64::from(pixel.0[channel]))
                .sum();
            let mean = sum / (17.0 * 19.0);
            assert!((mean - expected).abs() < 1.0, "{mean} is not {expected}");
        }
    }
}

#[test]
fn cmyk_is_converted_to_rgb() {
    for kind in [ColorType::Cmyk, ColorType::CmykAsYcck] {
        for apart in [false, true] {
            // No ink, cyan, black, and half of all four.
            let colours = [[0; 4], [255, 0, 0, 0], [0, 0, 0, 255], [128; 4]];
            for (ink, light) in
                colours
                    .into_iter()
                    .zip([[255, 255, 255], [0, 255, 255], [0, 0, 0], [63, 63, 63]])
            {
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, 100);
                encoder.set_optimized_huffman_tables(apart);
                encoder.encode(&ink.repeat(64), 8, 8, kind).unwrap();
                let found = read(&file).unwrap();
                let off = furthest(&found, &RgbImage::from_pixel(8, 8, Rgb(light)));
                assert!(off <= 2, "{kind:?} {ink:?}: {:?}", found.get_pixel(0, 0));
            }
        }
    }
}

/// A picture of one colour with these component identifiers, optionally a JFIF marker, and
/// optionally an Adobe marker with this transform.
fn marked(jfif: bool, adobe: Option<u8>, numbers: [u8; 3]) -> Vec<u8> {
    let image = RgbImage::from_pixel(8, 8, Rgb([200, 100, 50]));
    let plain = encoded(&image, SamplingFactor::R_4_4_4, &ORDERS[0], 0);
    // The encoder begins with a JFIF marker.
    let behind = 4 + usize::from(u16::from_be_bytes([plain[4], plain[5]]));
    assert_eq!(&plain[6..10], b"JFIF");
    let mut bytes = plain[..if jfif { behind } else { 2 }].to_vec();
    if let Some(transform) = adobe {
        bytes.extend(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0");
        bytes.push(transform);
    }
    bytes.extend(&plain[behind..]);
    let place = |marker| bytes.windows(2).position(|pair| pair == [0xff, marker]);
    // The identifiers are in the frame, each followed by two bytes, and in the scan, each by one.
    let (frame, scan) = (place(0xc0).unwrap() + 10, place(0xda).unwrap() + 5);
    for (i, number) in numbers.into_iter().enumerate() {
        assert_eq!([bytes[frame + 3 * i], bytes[scan + 2 * i]], [i as u8; 2]);
        (bytes[frame + 3 * i], bytes[scan + 2 * i]) = (number, number);
    }
    bytes
}

#[test]
fn markers_decide_what_the_components_are_before_their_numbers_do() {
    // Brightness and colours of the pixel, seen as red, green and blue.
    let (colour, as_it_lies) = (Rgb([200, 100, 50]), Rgb([124, 86, 182]));
    let (plain, letters) = ([1, 2, 3], *b"RGB");
    for (jfif, adobe, numbers, expected) in [
        (true, None, plain, colour),
        (true, None, letters, colour),
        (true, Some(0), plain, colour),
        (false, None, plain, colour),
        (false, None, letters, as_it_lies),
        (false, None, [0, 1, 2], colour),
        (false, None, [1, 34, 35], colour),
        (false, None, *b"rgb", colour),
        (false, Some(0), plain, as_it_lies),
        (false, Some(0), [7, 8, 9], as_it_lies),
        (false, Some(1), plain, colour),
        (false, Some(1), letters, colour),
    ] {
        let found = read(&marked(jfif, adobe, numbers)).unwrap();
        let off = furthest(&found, &RgbImage::from_pixel(8, 8, expected));
        let pixel = found.get_pixel(0, 0);
        assert!(
            off <= 2,
            "JFIF {jfif}, Adobe {adobe:?}, {numbers:?}: {pixel:?}"
        );
    }
}

#[test]
fn trailing_bytes_are_ignored() {
    let image = smooth(20, 12);
    for order in &ORDERS {
        let bytes = encoded(&image, SamplingFactor::R_4_2_0, order, order.restart());
        let whole = read(&bytes).unwrap();
        let film = b"ftypmp42\xff\xda and a film \xff\xc0\xff\xd8".to_vec();
        for behind in [
            vec![0; 9],
            film,
            bytes.clone(),
            bytes[..90].to_vec(),
            vec![0xff; 3],
        ] {
            let file = [&bytes[..], &behind].concat();
            assert_eq!(read(&file).unwrap(), whole, "{}", order.name);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let image = smooth(20, 12);
    // A thumbnail in the EXIF data has its own end marker.
    let small = encoded(&smooth(8, 8), SamplingFactor::R_4_4_4, &ORDERS[0], 0);
    for order in &ORDERS {
        let plain = encoded(&image, SamplingFactor::R_4_2_0, order, order.restart());
        let length = (small.len() + 8) as u16;
        let segment = [
            &[0xff, 0xe1][..],
            &length.to_be_bytes(),
            b"Exif\0\0",
            &small,
        ]
        .concat();
        let bytes = [&plain[..2], &segment, &plain[2..]].concat();
        assert_eq!(read(&bytes), read(&plain));
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "{}: {length}", order.name);
        }
    }
}

#[test]
fn a_picture_is_rotated_according_to_its_exif_data() {
    let image = smooth(20, 12);
    let plain = encoded(&image, SamplingFactor::R_4_4_4, &ORDERS[0], 0);
    // A TIFF header and one entry: orientation 6, a quarter turn clockwise.
    let exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let length = (exif.len() as u16 + 2).to_be_bytes();
    let bytes = [&plain[..2], &[0xff, 0xe1], &length, exif, &plain[2..]].concat();
    let turned = image::imageops::rotate90(&read(&plain).unwrap());
    assert_eq!(read(&bytes).unwrap(), turned);
}
