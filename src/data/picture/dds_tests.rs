//! DDS files of every kind are read to the right pixels or refused with the reason.

use std::path::Path;

use super::{DataError, Picture};

/// A DDS file of this size and format, with these blocks.
fn dds([width, height]: [u32; 2], four_cc: &[u8; 4], blocks: &[u8]) -> Vec<u8> {
    let mut header = [0_u32; 31];
    // The size of the header, its flags, and those of a compressed format.
    [header[0], header[1]] = [124, 0x1007];
    [header[2], header[3]] = [height, width];
    [header[18], header[19]] = [32, 4];
    header[20] = u32::from_le_bytes(*four_cc);
    let header = header.iter().flat_map(|number| number.to_le_bytes());
    b"DDS "
        .iter()
        .copied()
        .chain(header)
        .chain(blocks.iter().copied())
        .collect()
}

/// A file of 4x4 pixels with the further header.
fn dx10(header: [u32; 5], blocks: &[u8]) -> Vec<u8> {
    let header = header.map(u32::to_le_bytes).concat();
    dds([4, 4], b"DX10", &[&header, blocks].concat())
}

fn read(bytes: &[u8]) -> Result<Picture, DataError> {
    Picture::from_bytes(Path::new("a"), bytes)
}

/// The pixels, which must be grey.
fn levels(bytes: &[u8]) -> Vec<u8> {
    let pixels = read(bytes).unwrap().image.into_raw();
    let (pixels, []) = pixels.as_chunks() else {
        panic!("red, green and blue");
    };
    let level = |&[r, g, b]: &[u8; 3]| {
        assert_eq!([r, r], [g, b]);
        r
    };
    pixels.iter().map(level).collect()
}

/// White and black, and levels between or transparency, of which each row takes the same four.
const WHITE_FIRST: [u8; 8] = [
    0xff,
    0xff,
    0,
    0,
    0b1110_0100,
    0b1110_0100,
    0b1110_0100,
    0b1110_0100,
];
const BLACK_FIRST: [u8; 8] = [
    0,
    0,
    0xff,
    0xff,
    0b1110_0100,
    0b1110_0100,
    0b1110_0100,
    0b1110_0100,
];
const WHITE: [u8; 8] = [0xff, 0xff, 0, 0, 0, 0, 0, 0];
const BLACK: [u8; 8] = [0; 8];

#[test]
fn bc1_has_four_colours_or_three_and_transparency() {
    let four = levels(&dds([4, 4], b"DXT1", &WHITE_FIRST));
    assert_eq!(four, [255, 0, 170, 85].repeat(4));
    // Black, white, grey and transparent pixels, on a white background.
    let three = levels(&dds([4, 4], b"DXT1", &BLACK_FIRST));
    let grey = three[2];
    assert!((127..=128).contains(&grey), "{grey}");
    assert_eq!(three, [0, 255, grey, 255].repeat(4));
    // If the file says that it is opaque, these are black.
    let opaque = levels(&dx10([71, 3, 0, 1, 3], &BLACK_FIRST));
    assert_eq!(opaque, [0, 255, grey, 0].repeat(4));
}

#[test]
fn sizes_need_not_be_multiples_of_4() {
    // Four blocks for 5x6 pixels, with one column and two rows in the last.
    let blocks = [BLACK, WHITE, WHITE, BLACK].concat();
    let found = levels(&dds([5, 6], b"DXT1", &blocks));
    let upper = [0, 0, 0, 0, 255];
    let lower = [255, 255, 255, 255, 0];
    assert_eq!(found, [upper.repeat(4), lower.repeat(2)].concat());
    assert_eq!(levels(&dds([1, 1], b"DXT1", &WHITE)), [255]);
}

#[test]
fn bc2_and_bc3_have_alpha_of_their_own() {
    // Opacities 0, 5, 10 and 15 of 15 in each row, and a black block.
    let bc2 = [[0x50, 0xfa].repeat(4), BLACK.to_vec()].concat();
    assert_eq!(
        levels(&dds([4, 4], b"DXT3", &bc2)),
        [255, 170, 85, 0].repeat(4)
    );
    // Opacities of 255 and 0 in turn.
    let bc3 = [
        [255, 0, 0x08, 0x82, 0x20, 0x08, 0x82, 0x20].as_slice(),
        &BLACK,
    ]
    .concat();
    assert_eq!(levels(&dds([4, 4], b"DXT5", &bc3)), [0, 255].repeat(8));
    assert_eq!(levels(&dx10([77, 3, 0, 1, 0], &bc3)), [0, 255].repeat(8));
    assert_eq!(levels(&dx10([78, 3, 0, 1, 4], &bc3)), [0; 16]);
}

#[test]
fn premultiplied_colours_are_divided_by_alpha() {
    // Grey of 66 with an opacity of 136 of 255, on white: 66 or 124, as 66 * 255 / 136 = 124.
    let colour = [0x08, 0x42, 0x08, 0x42, 0, 0, 0, 0];
    let block = [[0x88; 8], colour].concat();
    for (four_cc, expected) in [(b"DXT3", 154_u8), (b"DXT2", 185)] {
        let image = read(&dds([4, 4], four_cc, &block)).unwrap().image;
        let [red, ..] = image.get_pixel(0, 0).0;
        assert!(red.abs_diff(expected) <= 1, "{red} {expected}");
    }
    assert_eq!(
        levels(&dx10([74, 3, 0, 1, 2], &[[0xff; 8], BLACK].concat())),
        [0; 16]
    );
}

#[test]
fn bc7_is_decoded() {
    // Mode 5 with both endpoints white and opaque.
    let mut bits = [0_u8; 16];
    bits[0] = 0b0010_0000;
    bits[1..8].fill(0xff);
    bits[8] = 0b11;
    assert_eq!(levels(&dx10([98, 3, 0, 1, 0], &bits)), [255; 16]);
}

#[test]
fn other_kinds_are_refused_with_the_reason() {
    let mut cube = dds([4, 4], b"DXT1", &WHITE);
    cube[113] = 0xfe;
    let mut volume = dds([4, 4], b"DXT1", &WHITE);
    volume[114] = 0x20;
    let mut uncompressed = dds([4, 4], b"\0\0\0\0", &[0; 64]);
    uncompressed[80] = 0x40;
    let files = [
        (cube, "a cube map"),
        (volume, "a 3D texture"),
        (uncompressed, "uncompressed pixels"),
        (dds([4, 4], b"ATI2", &[0; 16]), "format ATI2"),
        (dx10([95, 3, 0, 1, 0], &[0; 16]), "DXGI format 95"),
        (dx10([71, 3, 4, 1, 0], &[0; 48]), "a cube map"),
        (dx10([71, 3, 0, 2, 0], &[0; 16]), "several textures"),
        (dx10([71, 4, 0, 1, 0], &[0; 8]), "3D texture"),
    ];
    for (file, reason) in files {
        let message = read(&file).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("unsupported kind of DDS"), "{message}");
        assert!(message.contains(reason), "{message}");
    }
}

#[test]
fn damaged_files_are_refused() {
    let file = dds([5, 6], b"DXT1", &[WHITE; 4].concat());
    for length in 4..file.len() {
        let message = read(&file[..length]).map(|_| ()).unwrap_err().to_string();
        let reasons = ["it is truncated", "more than its bytes can hold"];
        assert!(
            reasons.iter().any(|reason| message.contains(reason)),
            "{length}: {message}"
        );
    }
    let large = dds([9_000, 9_000], b"DXT1", &WHITE);
    let message = read(&large).map(|_| ()).unwrap_err().to_string();
    assert!(
        message.contains("more than its bytes can hold"),
        "{message}"
    );
    let mut header = file;
    header[4] = 123;
    let message = read(&header).map(|_| ()).unwrap_err().to_string();
    assert!(message.contains("wrong size"), "{message}");
}
