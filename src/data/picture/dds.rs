//! DDS files: the first picture of a texture, in blocks of 4x4 pixels, which the `bcdec_rs` crate
//! decodes. The `image` crate would lose the transparency of BC1 and refuse sizes that are not
//! multiples of 4.

use image::{DynamicImage, RgbaImage};

use super::super::error::DataError;
use super::file::PictureFile;
use super::tiff::divide_by_alpha;

/// The bytes of the signature and the header.
const HEADER: usize = 128;
/// The bytes of a further header, for newer formats.
const DX10_HEADER: usize = 20;
/// Set in the header's `caps2`.
const CUBE_MAP: u32 = 0x200;
const VOLUME: u32 = 0x20_0000;
/// Set in the flags of the pixel format if it has a four-character code.
const FOUR_CC: u32 = 4;

pub(super) fn decode(file: PictureFile) -> Result<DynamicImage, DataError> {
    let bytes = file.bytes;
    let truncated = || file.broken("it is truncated");
    if bytes.len() < HEADER {
        return Err(truncated());
    }
    if number(bytes, 4) != Some(124) || number(bytes, 76) != Some(32) {
        return Err(file.broken("its header has the wrong size"));
    }
    let kind = DdsFormat::read(bytes).map_err(|kind| {
        let problem = format!(
            "unsupported kind of DDS: {kind}; expected a 2D texture in BC1 (DXT1), BC2 (DXT3), BC3 (DXT5) or \
             BC7; convert it to PNG"
        );
        DataError::contents(file.path, problem)
    })?;
    let (Some(height), Some(width)) = (number(bytes, 12), number(bytes, 16)) else {
        return Err(truncated());
    };
    let data = bytes.get(kind.data..).ok_or_else(truncated)?;
    let blocks = data.chunks_exact(kind.block_bytes);
    file.check_size([width, height], 16 * blocks.len() as u64)?;
    let [columns, rows] = [width, height].map(|side| side.div_ceil(4) as usize);
    if blocks.len() < columns * rows {
        return Err(truncated());
    }
    let mut image = RgbaImage::new(width, height);
    let mut pixels = [0; 64];
    for (index, block) in blocks.take(columns * rows).enumerate() {
        (kind.decode)(block, &mut pixels, 16);
        let [left, top] = [index % columns, index / columns].map(|at| 4 * at as u32);
        for (offset, pixel) in (0..).zip(pixels.as_chunks_mut().0) {
            let [.., alpha]: &mut [u8; 4] = pixel;
            if kind.is_opaque {
                *alpha = 255;
            }
            if kind.is_premultiplied {
                divide_by_alpha(pixel);
            }
            // Pixels of the last blocks may lie outside the picture.
            if let Some(shown) = image.get_pixel_mut_checked(left + offset % 4, top + offset / 4) {
                shown.0 = *pixel;
            }
        }
    }
    Ok(image.into())
}

/// A number of a header.
fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// How the pixels are stored.
struct DdsFormat {
    /// Where they start.
    data: usize,
    block_bytes: usize,
    /// Decodes a block to rows of this many bytes.
    decode: fn(&[u8], &mut [u8], usize),
    is_premultiplied: bool,
    /// Whether the fourth channel is not alpha.
    is_opaque: bool,
}

impl DdsFormat {
    fn new(block_bytes: usize, decode: fn(&[u8], &mut [u8], usize)) -> Self {
        Self {
            data: HEADER,
            block_bytes,
            decode,
            is_premultiplied: false,
            is_opaque: false,
        }
    }

    /// The kind of a file, or what is not read.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let at = |at| number(bytes, at).unwrap_or(0);
        match at(112) {
            caps if caps & CUBE_MAP > 0 => return Err("a cube map".into()),
            caps if caps & VOLUME > 0 => return Err("a 3D texture".into()),
            _ if at(80) & FOUR_CC == 0 => return Err("uncompressed pixels".into()),
            _ => {}
        }
        let premultiplied = |kind| Self {
            is_premultiplied: true,
            ..kind
        };
        match &bytes[84..88] {
            b"DXT1" => Ok(Self::new(8, bcdec_rs::bc1)),
            b"DXT2" => Ok(premultiplied(Self::new(16, bcdec_rs::bc2))),
            b"DXT3" => Ok(Self::new(16, bcdec_rs::bc2)),
            b"DXT4" => Ok(premultiplied(Self::new(16, bcdec_rs::bc3))),
            b"DXT5" => Ok(Self::new(16, bcdec_rs::bc3)),
            b"DX10" => Self::read_dx10(at(128), at(132), at(136), at(140), at(144)),
            other => Err(format!("format {}", other.escape_ascii())),
        }
    }

    /// The kind of a file with the further header.
    fn read_dx10(
        format: u32,
        dimension: u32,
        flags: u32,
        textures: u32,
        alpha: u32,
    ) -> Result<Self, String> {
        if flags & 4 > 0 {
            return Err("a cube map".into());
        }
        if dimension != 3 || textures > 1 {
            return Err("a 1D or 3D texture, or several textures".into());
        }
        let kind = match format {
            70..=72 => Self::new(8, bcdec_rs::bc1),
            73..=75 => Self::new(16, bcdec_rs::bc2),
            76..=78 => Self::new(16, bcdec_rs::bc3),
            97..=99 => Self::new(16, bcdec_rs::bc7),
            other => return Err(format!("DXGI format {other}")),
        };
        Ok(Self {
            data: HEADER + DX10_HEADER,
            is_premultiplied: alpha & 7 == 2,
            is_opaque: matches!(alpha & 7, 3 | 4),
            ..kind
        })
    }
}
