//! OpenEXR files, decoded by the `exr` crate: the first part with the channels R, G and B, or else
//! Y, and A if it has one. Other parts and channels, such as depth, are ignored.
//!
//! The picture is what the display window shows. Pixels outside the data window are black, or
//! transparent if there is an alpha channel.

use std::io::Cursor;

use exr::block;
use exr::block::chunk::{Chunk, CompressedBlock, CompressedScanLineBlock, CompressedTileBlock};
use exr::block::reader::ChunksReader as _;
use exr::error::Error;
use exr::math::Vec2;
use exr::meta::attribute::{SampleType, Text};
use exr::meta::header::Header;
use exr::prelude::{Compression, ReadChannels as _, ReadLayers as _, ReadSpecificChannel as _};

use super::super::bounded::MAX_UNPACKED;
use super::super::error::DataError;
use super::file::PictureFile;
use super::linear::{DecodedPicture, SrgbCanvas};

/// The most bytes in a tile or a block of scanlines.
const MAX_BLOCK: u64 = 1 << 28;
/// The most channels to name in a message.
const MAX_NAMED: usize = 6;

pub(super) fn decode(file: PictureFile) -> Result<DecodedPicture, DataError> {
    let bad = |error: Error| match error {
        Error::NotSupported(ref kind) => unsupported(file, kind).caused_by(error),
        error => file.bad(error),
    };
    let reader = block::read(Cursor::new(file.bytes), false).map_err(bad)?;
    let (part, is_grey) = colours(reader.headers())
        .ok_or_else(|| unsupported(file, other_channels(reader.headers())))?;
    check(file, part)?;
    if reader.headers().iter().any(is_dwa) {
        check_counters(file).map_err(bad)?;
    }
    let windows = ExrWindows::of(part);
    let has_alpha = has(part, "A");
    let expected = part.layer_size.area();

    let channels = exr::prelude::read()
        .no_deep_data()
        .largest_resolution_level();
    let picture = if is_grey {
        channels
            .specific_channels()
            .required("Y")
            .optional("A", 1.0)
            .collect_pixels(
                move |_, _| ExrPicture::new(windows, has_alpha),
                |picture: &mut ExrPicture, at, (y, a)| picture.set(at, [y; 3], a),
            )
            .first_valid_layer()
            .all_attributes()
            .non_parallel()
            .from_chunks(reader)
            .map_err(bad)?
            .layer_data
            .channel_data
            .pixels
    } else {
        channels
            .rgba_channels(
                move |_, _| ExrPicture::new(windows, has_alpha),
                |picture: &mut ExrPicture, at, (r, g, b, a)| picture.set(at, [r, g, b], a),
            )
            .first_valid_layer()
            .all_attributes()
            .non_parallel()
            .from_chunks(reader)
            .map_err(bad)?
            .layer_data
            .channel_data
            .pixels
    };
    if picture.read != expected {
        return Err(file.broken("it lacks some of its pixels"));
    }
    picture.canvas.finish(file)
}

/// The picture, while it is read.
struct ExrPicture {
    windows: ExrWindows,
    canvas: SrgbCanvas,
    /// The number of pixels read.
    read: usize,
}

impl ExrPicture {
    fn new(windows: ExrWindows, has_alpha: bool) -> Self {
        Self {
            windows,
            canvas: SrgbCanvas::new(windows.shown, has_alpha),
            read: 0,
        }
    }

    fn set(&mut self, at: Vec2<usize>, colour: [f32; 3], alpha: f32) {
        self.read += 1;
        if let Some(index) = self.windows.index(at) {
            self.canvas.set(index, colour, alpha);
        }
    }
}

fn unsupported(file: PictureFile, kind: impl std::fmt::Display) -> DataError {
    let problem = format!(
        "unsupported kind of OpenEXR: {kind}; expected the channels R, G and B, or Y, in floating point, \
         each in full size and without deep data; convert it to PNG"
    );
    DataError::contents(file.path, problem)
}

fn has(part: &Header, channel: &str) -> bool {
    let channel = Text::from(channel);
    part.channels.list.iter().any(|other| other.name == channel)
}

/// The part to read, and whether it is grey.
fn colours(parts: &[Header]) -> Option<(&Header, bool)> {
    let with = |channels: &[&str]| {
        let mut parts = parts.iter().filter(|part| !part.deep);
        parts.find(|part| channels.iter().all(|channel| has(part, channel)))
    };
    let rgb = with(&["R", "G", "B"]).map(|part| (part, false));
    // Beside luminance there may be chroma, from which this decoder makes no colours.
    let grey = with(&["Y"]).filter(|part| !has(part, "RY") && !has(part, "BY"));
    rgb.or_else(|| grey.map(|part| (part, true)))
}

fn is_dwa(part: &Header) -> bool {
    matches!(
        part.compression,
        Compression::DWAA(_) | Compression::DWAB(_)
    )
}

/// What is in a file without a part to read.
fn other_channels(parts: &[Header]) -> String {
    if parts.iter().any(|part| part.deep) {
        return "deep data".into();
    }
    let names = parts.iter().flat_map(|part| &part.channels.list);
    let mut names = names.map(|channel| channel.name.to_string().escape_debug().to_string());
    let first: Vec<String> = names.by_ref().take(MAX_NAMED).collect();
    let more = match names.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("its channels are {}{more}", first.join(", "))
}

/// Checks the kind of a part and its sizes.
fn check(file: PictureFile, part: &Header) -> Result<(), DataError> {
    let used = ["R", "G", "B", "Y", "A"].map(Text::from);
    let mut channels = part.channels.list.iter();
    if channels
        .any(|channel| used.contains(&channel.name) && channel.sample_type == SampleType::U32)
    {
        return Err(unsupported(file, "its colours are whole numbers"));
    }
    // Chroma beside luminance is stored for every second pixel, which the decoder refuses.
    let bytes_per_pixel = part.channels.bytes_per_pixel.max(1) as u64;
    let possible = if is_dwa(part) {
        // A block without light takes a few bytes.
        u64::MAX
    } else {
        file.bytes.len() as u64 * MAX_UNPACKED / bytes_per_pixel
    };
    let Vec2(width, height) = part.layer_size;
    file.check_size([width, height].map(side), possible)?;
    file.check_size(ExrWindows::of(part).shown, u64::MAX)?;
    // Multiplied here, as the sides of a tile may overflow the decoder's number of bytes.
    let block = match part.blocks {
        exr::meta::BlockDescription::Tiles(tiles) => tiles.tile_size,
        exr::meta::BlockDescription::ScanLines => {
            Vec2(width, part.compression.scan_lines_per_block())
        }
    };
    let bytes = (block.x() as u64)
        .saturating_mul(block.y() as u64)
        .saturating_mul(bytes_per_pixel);
    if bytes > MAX_BLOCK {
        return Err(unsupported(
            file,
            "its tiles or blocks have more than 256 MiB",
        ));
    }
    Ok(())
}

/// Checks what the blocks of DWA declare, for which the decoder allocates memory before it
/// decompresses them.
fn check_counters(file: PictureFile) -> Result<(), Error> {
    let mut chunks =
        block::read(Cursor::new(file.bytes), false)?.filter_chunks(false, |_, _, _| true)?;
    while let Some(chunk) = chunks.read_next_chunk() {
        let Chunk {
            layer_index,
            compressed_block: block,
        } = chunk?;
        let part = chunks.headers().get(layer_index);
        let part = part.ok_or_else(|| Error::Invalid("chunk of no part".into()))?;
        let place = part.get_block_data_indices(&block)?;
        let Vec2(width, height) = part.get_absolute_block_pixel_coordinates(place)?.size;
        let (CompressedBlock::ScanLine(CompressedScanLineBlock {
            compressed_pixels_le: packed,
            ..
        })
        | CompressedBlock::Tile(CompressedTileBlock {
            compressed_pixels_le: packed,
            ..
        })) = &block
        else {
            continue;
        };
        let bytes_per_pixel = part.channels.bytes_per_pixel;
        // A block that does not become smaller is stored as it is.
        if !is_dwa(part) || packed.len() == width * height * bytes_per_pixel {
            continue;
        }
        let padded = width.next_multiple_of(8) * height.next_multiple_of(8) * bytes_per_pixel;
        let counters: Vec<u64> = (packed.as_chunks().0.iter().take(10))
            .map(|counter| u64::from_le_bytes(*counter))
            .collect();
        // Other channels, the runs' bytes and what they stand for, and coefficients of 16 bits.
        if let [_, other, _, _, _, _, runs, run, coefficients, means] = counters[..] {
            let most = padded as u64;
            let halves = [coefficients, means].iter().all(|count| *count <= most / 2);
            if !halves || other > most || run > most || runs > 2 * most {
                return Err(Error::Invalid(
                    "a block of DWA is larger than its pixels".into(),
                ));
            }
        }
    }
    Ok(())
}

fn side(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX)
}

/// What the file stores, and what it shows of it.
#[derive(Clone, Copy)]
struct ExrWindows {
    /// The size of the display window.
    shown: [u32; 2],
    /// The position of the data window in it.
    data: [i64; 2],
}

impl ExrWindows {
    fn of(part: &Header) -> Self {
        let display = part.shared_attributes.display_window;
        let Vec2(width, height) = display.size;
        let Vec2(x, y) = part.own_attributes.layer_position;
        let Vec2(left, top) = display.position;
        Self {
            shown: [side(width), side(height)],
            data: [
                i64::from(x) - i64::from(left),
                i64::from(y) - i64::from(top),
            ],
        }
    }

    /// The index in the picture of a position in the data window; `None` if it is not shown.
    fn index(&self, Vec2(x, y): Vec2<usize>) -> Option<usize> {
        let [width, height] = self.shown.map(i64::from);
        let (x, y) = (x as i64 + self.data[0], y as i64 + self.data[1]);
        let is_shown = (0..width).contains(&x) && (0..height).contains(&y);
        is_shown.then(|| (y * width + x) as usize)
    }
}
