//! TIFF files of every kind are read to the right pixels or refused with the reason.

use std::io::Cursor;
use std::path::Path;

use image::RgbImage;
use tiff::encoder::colortype::{CMYK8, Gray16, RGB8, RGB16};
use tiff::encoder::{Compression, DeflateLevel, Predictor, TiffEncoder};

use super::Picture;
use super::tests::pattern;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const ORIENTATION: u16 = 274;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const EXTRA_SAMPLES: u16 = 338;
const SAMPLE_FORMAT: u16 = 339;

const WHITE_IS_ZERO: u16 = 0;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const CMYK: u16 = 5;
const YCBCR: u16 = 6;

/// A TIFF file of one page with these tags, each a list of 16-bit numbers, and these strips, or
/// tiles if it has the tag of their width.
fn page(big_endian: bool, tags: &[(u16, &[u16])], strips: &[&[u8]]) -> Vec<u8> {
    let word = |value: u16| {
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    let long = |value: usize| {
        if big_endian {
            (value as u32).to_be_bytes()
        } else {
            (value as u32).to_le_bytes()
        }
    };
    let tiled = tags.iter().any(|&(tag, _)| tag == TILE_WIDTH);
    let (offsets, lengths) = if tiled { (324, 325) } else { (273, 279) };
    let mut entries: Vec<(u16, u16, Vec<u8>)> = tags
        .iter()
        .map(|&(tag, values)| (tag, 3, values.iter().flat_map(|&v| word(v)).collect()))
        .collect();
    let starts = strips.iter().scan(8, |at, strip| {
        *at += strip.len();
        Some(*at - strip.len())
    });
    entries.push((offsets, 4, starts.flat_map(long).collect()));
    let strip_lengths = strips.iter().flat_map(|strip| long(strip.len()));
    entries.push((lengths, 4, strip_lengths.collect()));
    entries.sort();

    let data = strips.concat();
    let directory = 8 + data.len();
    let mut values_at = directory + 2 + 12 * entries.len() + 4;
    let magic: &[u8] = if big_endian { b"MM" } else { b"II" };
    let mut file = [
        magic,
        &word(42),
        &long(directory),
        &data,
        &word(entries.len() as u16),
    ]
    .concat();
    let mut values = Vec::new();
    for (tag, kind, mut value) in entries {
        let count = value.len() / if kind == 3 { 2 } else { 4 };
        file.extend([word(tag), word(kind)].concat());
        file.extend(long(count));
        if value.len() > 4 {
            file.extend(long(values_at));
            values_at += value.len();
            values.append(&mut value);
        } else {
            value.resize(4, 0);
            file.extend(value);
        }
    }
    [file, vec![0; 4], values].concat()
}

fn read(bytes: &[u8]) -> Result<RgbImage, String> {
    let picture = Picture::from_bytes(Path::new("a.tif"), bytes);
    picture
        .map(|picture| picture.image)
        .map_err(|error| error.to_string())
}

/// The red, green and blue values of a file in the byte order of small machines.
fn pixels(tags: &[(u16, &[u16])], data: &[u8]) -> Vec<u8> {
    read(&page(false, tags, &[data])).unwrap().into_raw()
}

/// Grey levels as red, green and blue.
fn grey(levels: &[u8]) -> Vec<u8> {
    levels.iter().flat_map(|&level| [level; 3]).collect()
}

#[test]
fn grey_levels_have_1_to_16_bits_in_both_polarities() {
    let files: [(u16, &[u8], [u8; 3]); 5] = [
        (1, &[0b0100_0000], [0, 255, 0]),
        (2, &[0b0001_1000], [0, 85, 170]),
        (4, &[0x0f, 0x30], [0, 255, 51]),
        (8, &[0, 255, 7], [0, 255, 7]),
        (16, &[0, 0, 255, 255, 0x80, 7], [0, 255, 7]),
    ];
    for (bits, data, levels) in files {
        let read = |photometric: &[u16]| {
            let tags: [(u16, &[u16]); 4] = [
                (WIDTH, &[3]),
                (HEIGHT, &[1]),
                (BITS, &[bits]),
                (PHOTOMETRIC, photometric),
            ];
            pixels(&tags, data)
        };
        assert_eq!(read(&[BLACK_IS_ZERO]), grey(&levels), "{bits} bits");
        let inverted = levels.map(|level| 255 - level);
        assert_eq!(read(&[WHITE_IS_ZERO]), grey(&inverted), "{bits} bits");
    }
}

#[test]
fn both_byte_orders_planes_strips_and_tiles_give_the_same_pixels() {
    let size: [(u16, &[u16]); 2] = [(WIDTH, &[3]), (HEIGHT, &[2])];
    let colour: [(u16, &[u16]); 3] = [(BITS, &[8, 8, 8]), (PHOTOMETRIC, &[RGB]), (SAMPLES, &[3])];
    let rgb: Vec<u8> = (0..18).map(|value| value * 14).collect();
    let plane = |channel| -> Vec<u8> { rgb[channel..].iter().step_by(3).copied().collect() };
    let planes = [plane(0), plane(1), plane(2)];
    // The second tile is padded with pixels that do not belong to the picture.
    let tile = |x: usize| {
        let row = |y: usize| {
            let row = &rgb[9 * y..9 * y + 9];
            (x..x + 2).flat_map(move |x| row.get(3 * x..3 * x + 3).unwrap_or(&[99; 3]))
        };
        (0..2).flat_map(row).copied().collect::<Vec<u8>>()
    };
    let tiles = [tile(0), tile(2)];
    for big_endian in [false, true] {
        let file = |more: &[(u16, &[u16])], strips: &[&[u8]]| {
            let tags = [&size[..], &colour, more].concat();
            read(&page(big_endian, &tags, strips)).unwrap().into_raw()
        };
        assert_eq!(file(&[], &[&rgb]), rgb);
        assert_eq!(
            file(&[(ROWS_PER_STRIP, &[1])], &[&rgb[..9], &rgb[9..]]),
            rgb
        );
        let planar: [(u16, &[u16]); 1] = [(PLANAR, &[2])];
        assert_eq!(
            file(&planar, &planes.each_ref().map(|plane| &plane[..])),
            rgb
        );
        let tiled: [(u16, &[u16]); 2] = [(TILE_WIDTH, &[2]), (TILE_LENGTH, &[2])];
        assert_eq!(file(&tiled, &tiles.each_ref().map(|tile| &tile[..])), rgb);
    }
}

#[test]
fn further_samples_are_alpha_or_dropped() {
    let grey_and: [(u16, &[u16]); 4] = [
        (WIDTH, &[2]),
        (HEIGHT, &[1]),
        (BITS, &[8, 8]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
    ];
    let with = |extra: &[u16], data| {
        pixels(
            &[&grey_and[..], &[(SAMPLES, &[2]), (EXTRA_SAMPLES, extra)]].concat(),
            data,
        )
    };
    // Transparent pixels become white. If alpha is associated, 64 of 128 stands for 128.
    assert_eq!(with(&[2], &[7, 255, 9, 0]), grey(&[7, 255]));
    assert_eq!(with(&[1], &[64, 128, 0, 0]), grey(&[191, 255]));
    assert_eq!(with(&[0], &[7, 255, 9, 0]), grey(&[7, 9]));

    // Four samples of which the first is grey.
    let four: [(u16, &[u16]); 4] = [
        (WIDTH, &[2]),
        (HEIGHT, &[1]),
        (BITS, &[8; 4]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
    ];
    let more: [(u16, &[u16]); 2] = [(SAMPLES, &[4]), (EXTRA_SAMPLES, &[0; 3])];
    let data = [7, 1, 2, 3, 9, 1, 2, 3];
    assert_eq!(pixels(&[&four[..], &more].concat(), &data), grey(&[7, 9]));

    let rgb_and: [(u16, &[u16]); 5] = [
        (WIDTH, &[2]),
        (HEIGHT, &[1]),
        (BITS, &[8; 4]),
        (PHOTOMETRIC, &[RGB]),
        (SAMPLES, &[4]),
    ];
    let with = |extra: &[(u16, &[u16])]| {
        pixels(&[&rgb_and[..], extra].concat(), &[1, 2, 3, 255, 4, 5, 6, 0])
    };
    assert_eq!(with(&[(EXTRA_SAMPLES, &[2])]), [1, 2, 3, 255, 255, 255]);
    assert_eq!(with(&[]), [1, 2, 3, 255, 255, 255]);
    assert_eq!(with(&[(EXTRA_SAMPLES, &[0])]), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn inks_become_colours_and_the_orientation_is_applied() {
    let size: [(u16, &[u16]); 2] = [(WIDTH, &[2]), (HEIGHT, &[1])];
    let inks: [(u16, &[u16]); 3] = [(BITS, &[8; 4]), (PHOTOMETRIC, &[CMYK]), (SAMPLES, &[4])];
    // No ink and cyan.
    let data = [0, 0, 0, 0, 255, 0, 0, 0];
    let tags = [&size[..], &inks].concat();
    assert_eq!(pixels(&tags, &data), [255, 255, 255, 0, 255, 255]);

    let levels: [(u16, &[u16]); 3] = [
        (BITS, &[8]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
        (ORIENTATION, &[6]),
    ];
    let turned = read(&page(false, &[&size[..], &levels].concat(), &[&[3, 5]])).unwrap();
    assert_eq!(
        (turned.dimensions(), turned.into_raw()),
        ((1, 2), grey(&[3, 5]))
    );
}

#[test]
fn every_compression_is_decoded_to_the_right_pixels() {
    let compressions = [
        ("uncompressed", Compression::Uncompressed),
        ("LZW", Compression::Lzw),
        ("Deflate", Compression::Deflate(DeflateLevel::Balanced)),
        ("PackBits", Compression::Packbits),
    ];
    for (name, compression) in compressions {
        for predictor in [Predictor::None, Predictor::Horizontal] {
            let mut file = Cursor::new(Vec::new());
            let encoder = TiffEncoder::new(&mut file).unwrap();
            let mut encoder = encoder
                .with_compression(compression)
                .with_predictor(predictor);
            encoder.write_image::<RGB8>(13, 7, &pattern()).unwrap();
            let name = format!("{name}, {predictor:?}");
            assert_eq!(read(file.get_ref()).as_ref(), Ok(&pattern()), "{name}");

            // A truncated file is refused, or has all of its pixels.
            for length in 0..file.get_ref().len() {
                if let Ok(image) = read(&file.get_ref()[..length]) {
                    assert_eq!(image, pattern(), "{name}, cut at {length}");
                }
            }
        }
    }
    // A row that is white but for one pixel, and a black row.
    let fax: [(u16, &[u16]); 5] = [
        (WIDTH, &[8]),
        (HEIGHT, &[2]),
        (BITS, &[1]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
        (COMPRESSION, &[4]),
    ];
    let rows = [[255, 255, 0, 255, 255, 255, 255, 255], [0; 8]].concat();
    assert_eq!(pixels(&fax, &GROUP_4), grey(&rows));
}

#[test]
fn sixteen_bits_are_rounded_to_eight() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let levels = [0, 128, 129, 65_535, 65_406, 32_896];
    encoder.write_image::<Gray16>(6, 1, &levels).unwrap();
    let expected = grey(&[0, 0, 1, 255, 254, 128]);
    assert_eq!(read(file.get_ref()).unwrap().into_raw(), expected);

    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<RGB16>(2, 1, &levels).unwrap();
    assert_eq!(
        read(file.get_ref()).unwrap().into_raw(),
        [0, 0, 1, 255, 254, 128]
    );

    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    encoder.write_image::<CMYK8>(1, 1, &[0, 0, 0, 255]).unwrap();
    assert_eq!(read(file.get_ref()).unwrap().into_raw(), [0, 0, 0]);
}

#[test]
fn other_kinds_are_refused_with_the_reason() {
    let size: [(u16, &[u16]); 2] = [(WIDTH, &[2]), (HEIGHT, &[1])];
    let rgb: [(u16, &[u16]); 2] = [(BITS, &[8; 3]), (SAMPLES, &[3])];
    let grey: [(u16, &[u16]); 2] = [(BITS, &[8]), (PHOTOMETRIC, &[BLACK_IS_ZERO])];
    let float: [(u16, &[u16]); 3] = [
        (BITS, &[32]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
        (SAMPLE_FORMAT, &[3]),
    ];
    let four: [(u16, &[u16]); 4] = [
        (BITS, &[8; 4]),
        (SAMPLES, &[4]),
        (PHOTOMETRIC, &[RGB]),
        (EXTRA_SAMPLES, &[0]),
    ];
    type TagList<'a> = &'a [(u16, &'a [u16])];
    // Tiles that hold the whole picture.
    let tiles: [(u16, &[u16]); 3] = [(PLANAR, &[2]), (TILE_WIDTH, &[2]), (TILE_LENGTH, &[1])];
    let files: [(TagList, TagList, &str); 8] = [
        (
            &[(BITS, &[8]), (PHOTOMETRIC, &[BLACK_IS_ZERO])],
            &tiles,
            "tiles of its own",
        ),
        (
            &grey,
            &[(FILL_ORDER, &[2])],
            "its bits are in reverse order",
        ),
        (&[(BITS, &[8])], &[(PHOTOMETRIC, &[PALETTE])], "RGBPalette"),
        (&rgb, &[(PHOTOMETRIC, &[YCBCR])], "YCbCr"),
        (&grey, &[(COMPRESSION, &[7])], "ModernJPEG"),
        (&float, &[], "whole numbers of 1, 2, 4, 8 or 16 bits"),
        (&four, &[(PREDICTOR, &[2])], "more samples than its colour"),
        (
            &grey,
            &[(SAMPLE_FORMAT, &[2])],
            "whole numbers of 8 or 16 bits",
        ),
    ];
    for (first, more, reason) in files {
        let file = page(false, &[&size, first, more].concat(), &[&[0; 8]]);
        let message = read(&file).unwrap_err();
        assert!(message.contains("unsupported kind of TIFF"), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn more_pixels_than_a_file_can_hold_are_refused_before_allocating() {
    let tags: [(u16, &[u16]); 4] = [
        (WIDTH, &[9_000]),
        (HEIGHT, &[9_000]),
        (BITS, &[8]),
        (PHOTOMETRIC, &[BLACK_IS_ZERO]),
    ];
    let message = read(&page(false, &tags, &[&[0; 8]])).unwrap_err();
    assert!(
        message.contains("more than its bytes can hold"),
        "{message}"
    );
}

/// Two rows of eight pixels in CCITT Group 4, encoded by libtiff 4.7.2.
const GROUP_4: [u8; 9] = [38, 185, 28, 196, 240, 110, 0, 32, 2];
