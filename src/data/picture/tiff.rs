//! TIFF files, decoded by the `tiff` crate: the first page, grey, RGB or CMYK of up to 16 bits per
//! sample, in strips or tiles, uncompressed or compressed with LZW, Deflate, PackBits or CCITT
//! Group 4. Other kinds, such as palettes, floating-point samples and JPEG, are refused by name.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayAlphaImage, GrayImage, RgbImage, RgbaImage};
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::{CompressionMethod, Predictor, Tag};
use tiff::{ColorType, TiffError, TiffResult};

use super::super::bounded::MAX_UNPACKED;
use super::super::error::DataError;
use super::file::{BYTES_PER_PIXEL, MAX_SIDE, PictureFile};
use super::jpeg::cmyk_to_rgb;

pub(super) fn decode(file: PictureFile) -> Result<DynamicImage, DataError> {
    let bad = |error: TiffError| match error {
        TiffError::UnsupportedError(ref kind) => {
            unsupported(file, kind.to_string()).caused_by(error)
        }
        error => file.bad(error),
    };
    let decoder = Decoder::new(Cursor::new(file.bytes)).map_err(bad)?;
    // The tags of a page take at most as much memory as the file.
    let mut decoder = decoder.with_limits(limits(file, 0));
    let (width, height) = decoder.dimensions().map_err(bad)?;
    let tags = Tags::read(&mut decoder).map_err(bad)?;
    let colour = tags.colour;
    if let Some(kind) = tags.unsupported() {
        return Err(unsupported(file, kind));
    }
    let possible = match tags.compression {
        // A single bit may repeat the row above.
        CompressionMethod::Fax4 => u64::MAX,
        _ => 8 * file.bytes.len() as u64 * MAX_UNPACKED / u64::from(colour.bit_depth().max(1)),
    };
    let pixels = file.check_size([width, height], possible)?;

    let mut decoder = decoder.with_limits(limits(file, pixels));
    let mut samples = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut samples).map_err(bad)?;
    drop(decoder);
    let mut samples = match samples {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => samples.iter().map(|&sample| upper_byte(sample)).collect(),
        _ => {
            return Err(unsupported(
                file,
                "its samples are not whole numbers of 8 or 16 bits",
            ));
        }
    };
    if colour.bit_depth() < 8 {
        samples = unpacked(&samples, colour.bit_depth(), width as usize);
    }
    if layout.planes > 1 {
        samples = interleaved(&samples, layout.planes);
    }
    let mut image = picture(samples, [width, height], &tags)
        .ok_or_else(|| file.broken("its pixels have the wrong size"))?;
    image.apply_orientation(tags.orientation);
    Ok(image)
}

/// The memory that the decoder may take for this many pixels.
fn limits(file: PictureFile, pixels: u64) -> Limits {
    let mut limits = Limits::default();
    // Half of it, as samples of 16 bits are reduced to 8 and planes are interleaved.
    let pixels = (BYTES_PER_PIXEL / 2 * pixels) as usize;
    limits.decoding_buffer_size = pixels.max(file.bytes.len());
    limits.intermediate_buffer_size = file.bytes.len();
    limits.ifd_value_size = file.bytes.len();
    limits
}

fn unsupported(file: PictureFile, kind: impl std::fmt::Display) -> DataError {
    let problem = format!(
        "unsupported kind of TIFF: {kind}; expected grey, RGB or CMYK of at most 16 bits, \
         uncompressed or with LZW, Deflate, PackBits or CCITT Group 4; convert it to PNG"
    );
    DataError::contents(file.path, problem)
}

/// How samples combine with those of the colour.
#[derive(Clone, Copy, PartialEq)]
enum Alpha {
    /// The samples of the colour are already multiplied by alpha.
    Associated,
    Unassociated,
}

/// What a page's tags say about its pixels.
struct Tags {
    colour: ColorType,
    compression: CompressionMethod,
    predictor: Predictor,
    /// Samples per pixel, in one plane.
    samples: u16,
    alpha: Option<Alpha>,
    orientation: Orientation,
    reversed_bits: bool,
    tile_width: u32,
    /// Whether each sample has tiles of its own.
    planes_in_tiles: bool,
}

impl Tags {
    fn read(decoder: &mut Decoder<Cursor<&[u8]>>) -> TiffResult<Self> {
        let colour = decoder.colortype()?;
        let number = |decoder: &mut Decoder<_>, tag, default: u16| -> TiffResult<u16> {
            Ok(decoder.find_tag_unsigned(tag)?.unwrap_or(default))
        };
        let compression = number(decoder, Tag::Compression, 1)?;
        let predictor = number(decoder, Tag::Predictor, 1)?;
        let orientation = number(decoder, Tag::Orientation, 1)?;
        let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?;
        let alpha = match extra.as_deref() {
            Some([1, ..]) => Some(Alpha::Associated),
            Some([2, ..]) => Some(Alpha::Unassociated),
            // Four samples for red, green and blue, without saying what the fourth is.
            None | Some([]) if matches!(colour, ColorType::RGBA(_)) => Some(Alpha::Unassociated),
            _ => None,
        };
        let planar = number(decoder, Tag::PlanarConfiguration, 1)? == 2;
        let samples = number(decoder, Tag::SamplesPerPixel, 1)?;
        let orientation = u8::try_from(orientation)
            .ok()
            .and_then(Orientation::from_exif);
        Ok(Self {
            colour,
            compression: CompressionMethod::from_u16_exhaustive(compression),
            predictor: Predictor::from_u16(predictor).unwrap_or(Predictor::None),
            samples: if planar { 1 } else { samples },
            alpha,
            orientation: orientation.unwrap_or(Orientation::NoTransforms),
            reversed_bits: number(decoder, Tag::FillOrder, 1)? == 2,
            tile_width: decoder.chunk_dimensions().0,
            planes_in_tiles: planar && decoder.get_chunk_type() == ChunkType::Tile,
        })
    }

    /// What this decoder does not read, if anything.
    fn unsupported(&self) -> Option<&'static str> {
        let predicted = self.predictor != Predictor::None;
        match self.colour {
            _ if self.reversed_bits => Some("its bits are in reverse order"),
            _ if self.tile_width > MAX_SIDE => Some("its tiles are too wide"),
            // The decoder takes the padding of the last tiles for pixels.
            _ if self.planes_in_tiles => Some("each of its samples has tiles of its own"),
            // The decoder drops samples that are neither colour nor alpha, and then adds up the
            // differences of samples that are not neighbours.
            colour if predicted && self.samples > 1 && self.samples != colour.num_samples() => {
                Some("it has more samples than its colour, and stores differences")
            }
            ColorType::Gray(1 | 2 | 4 | 8 | 16)
            | ColorType::Multiband {
                bit_depth: 8 | 16, ..
            }
            | ColorType::RGB(8 | 16)
            | ColorType::RGBA(8 | 16)
            | ColorType::CMYK(8 | 16) => None,
            ColorType::YCbCr(_) => Some("YCbCr"),
            ColorType::Lab(_) => Some("Lab colours"),
            ColorType::CMYKA(_) => Some("CMYK with transparency"),
            _ => Some("its samples are not whole numbers of 1, 2, 4, 8 or 16 bits"),
        }
    }
}

/// The nearest value of 8 bits.
fn upper_byte(sample: u16) -> u8 {
    ((u32::from(sample) + 128) / 257) as u8
}

/// Samples of 1, 2 or 4 bits, in rows of whole bytes with the highest bits first, as 0 to 255.
fn unpacked(packed: &[u8], bits: u8, width: usize) -> Vec<u8> {
    let (bits, in_a_byte) = (usize::from(bits), 8 / usize::from(bits));
    let most = (1 << bits) - 1;
    let rows = packed.chunks_exact(width.div_ceil(in_a_byte));
    let row = |row: &[u8]| {
        let sample = |x: usize| {
            let shift = 8 - bits - x % in_a_byte * bits;
            (row[x / in_a_byte] >> shift & most) * (255 / most)
        };
        (0..width).map(sample).collect::<Vec<u8>>()
    };
    rows.flat_map(row).collect()
}

/// Samples of one plane after the other, pixel by pixel.
fn interleaved(planes: &[u8], number: usize) -> Vec<u8> {
    let length = planes.len() / number;
    let at = |index: usize| planes[index % number * length + index / number];
    (0..number * length).map(at).collect()
}

/// The picture of interleaved samples; `None` if their number is wrong.
fn picture(samples: Vec<u8>, [width, height]: [u32; 2], tags: &Tags) -> Option<DynamicImage> {
    let pixels = width as usize * height as usize;
    let stored = samples.len().checked_div(pixels)?;
    // The samples of the colour and alpha. Any others, behind these, are dropped.
    let colours = match tags.colour {
        ColorType::CMYK(_) => 4,
        ColorType::RGB(_) | ColorType::RGBA(_) => 3,
        _ => 1,
    };
    let used = colours + usize::from(tags.alpha.is_some() && stored > colours);
    if stored < used || samples.len() != stored * pixels {
        return None;
    }
    let mut used_samples = samples;
    if used < stored {
        let chosen = used_samples
            .chunks_exact(stored)
            .flat_map(|pixel| &pixel[..used]);
        used_samples = chosen.copied().collect();
    }
    if tags.alpha == Some(Alpha::Associated) && used > colours {
        for pixel in used_samples.chunks_exact_mut(used) {
            divide_by_alpha(pixel);
        }
    }
    match (colours, used) {
        (1, 1) => GrayImage::from_raw(width, height, used_samples).map(DynamicImage::from),
        (1, _) => GrayAlphaImage::from_raw(width, height, used_samples).map(DynamicImage::from),
        (3, 3) => RgbImage::from_raw(width, height, used_samples).map(DynamicImage::from),
        (3, _) => RgbaImage::from_raw(width, height, used_samples).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, cmyk_to_rgb(&used_samples)).map(DynamicImage::from),
    }
}

/// Recovers a pixel's colour, which was multiplied by alpha, its last sample.
pub(super) fn divide_by_alpha(pixel: &mut [u8]) {
    if let [colour @ .., alpha] = pixel
        && *alpha > 0
    {
        let alpha = u32::from(*alpha);
        for sample in colour {
            *sample = ((u32::from(*sample) * 255 + alpha / 2) / alpha).min(255) as u8;
        }
    }
}
