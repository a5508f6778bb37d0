//! Radiance HDR files: red, green and blue with a common exponent. The scanlines are decoded by the
//! `image` crate, which ignores what a header says about their direction and their colours.

use std::io::Read as _;

use image::codecs::hdr::HdrDecoder;
use image::metadata::Orientation;

use super::super::error::DataError;
use super::file::{MAX_SIDE, PictureFile};
use super::linear::{DecodedPicture, SrgbCanvas};

/// The most pixels per byte: four bytes repeat a pixel up to a scanline's end.
const MAX_PIXELS_PER_BYTE: u64 = MAX_SIDE as u64 / 4 + 1;
/// A marker of the old run-length encoding, with which no run begins.
const EMPTY_RUN: [u8; 4] = [1, 1, 1, 0];

pub(super) fn decode(file: PictureFile) -> Result<DecodedPicture, DataError> {
    let header = RadianceHeader::read(file.bytes).ok_or_else(|| file.broken("it has no size"))?;
    if let Some(encoding) = header.unsupported {
        let problem = format!(
            "unsupported kind of Radiance HDR: {encoding}; expected 32-bit_rle_rgbe; convert it to PNG"
        );
        return Err(DataError::contents(file.path, problem));
    }
    // The decoder multiplies the length of a run by 256 for each such marker, and overflows.
    let empty_runs = EMPTY_RUN.repeat(8);
    let mut windows = header.scanlines.windows(empty_runs.len());
    if windows.any(|bytes| bytes == empty_runs) {
        return Err(file.broken("it has runs without a length"));
    }
    let [rows, columns] = header.size;
    // The lines of a header take more memory than the file, so the decoder gets a short one.
    let start = format!("#?RADIANCE\n\n-Y {rows} +X {columns}\n");
    let decoder = HdrDecoder::new(start.as_bytes().chain(header.scanlines));
    let light = file
        .pixels(decoder, Some(MAX_PIXELS_PER_BYTE))?
        .into_rgb32f();
    let mut canvas = SrgbCanvas::new([columns, rows], false);
    for (index, pixel) in light.pixels().enumerate() {
        canvas.set(index, pixel.0, 1.0);
    }
    drop(light);
    let mut decoded = canvas.finish(file)?;
    decoded.image.apply_orientation(header.orientation);
    Ok(decoded)
}

struct RadianceHeader<'a> {
    /// The number of scanlines, and of pixels in each.
    size: [u32; 2],
    orientation: Orientation,
    /// An encoding of the colours that is not read.
    unsupported: Option<String>,
    scanlines: &'a [u8],
}

impl<'a> RadianceHeader<'a> {
    /// Reads lines of text up to an empty one, and the line of the size behind it.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut next = || {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = str::from_utf8(&rest[..end]).unwrap_or_default();
            rest = &rest[end + 1..];
            Some((line.trim(), end))
        };
        let mut unsupported = None;
        loop {
            match next()? {
                (_, 0) => break,
                (line, _) => {
                    let format = line.strip_prefix("FORMAT=").map(str::trim);
                    let other = format.filter(|format| *format != "32-bit_rle_rgbe");
                    unsupported = other
                        .map(|other| other.escape_debug().take(40).collect())
                        .or(unsupported);
                }
            }
        }
        let size: Vec<&str> = next()?.0.split_ascii_whitespace().collect();
        let [outer, rows, inner, columns] = size[..] else {
            return None;
        };
        let orientation = orientation(outer, inner)?;
        Some(Self {
            size: [rows.parse().ok()?, columns.parse().ok()?],
            orientation,
            unsupported,
            scanlines: rest,
        })
    }
}

/// How to turn scanlines that follow each other in the direction `outer`, with pixels in the
/// direction `inner`. Y points up.
fn orientation(outer: &str, inner: &str) -> Option<Orientation> {
    Some(match (outer, inner) {
        ("-Y", "+X") => Orientation::NoTransforms,
        ("+Y", "+X") => Orientation::FlipVertical,
        ("-Y", "-X") => Orientation::FlipHorizontal,
        ("+Y", "-X") => Orientation::Rotate180,
        ("+X", "-Y") => Orientation::Rotate90FlipH,
        ("+X", "+Y") => Orientation::Rotate270,
        ("-X", "-Y") => Orientation::Rotate90,
        ("-X", "+Y") => Orientation::Rotate270FlipH,
        _ => return None,
    })
}
