//! The index of a folder's decoded pictures.

use std::collections::HashMap;

use byteorder::{LittleEndian, ReadBytesExt as _};

use super::remarks::Remarks;
use super::stamp::Stamp;
use crate::data::interpolation::Interpolation;

/// What all pixels depend on besides the pictures: raised whenever a picture is decoded or resized
/// to other pixels than before.
pub(super) const PIXELS: u32 = 1;
const MAGIC: &[u8] = b"cnn-gpu pictures\n";
/// The bytes of an entry besides its path.
const ENTRY: usize = 2 + 6 * 8 + 32 + 1 + 4 + 8;

/// What the pixels of a picture depend on besides its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::data) struct PixelFormat {
    /// Height, width and channels.
    pub(in crate::data) shape: [usize; 3],
    /// How it is resized.
    pub(in crate::data) interpolation: Interpolation,
}

impl PixelFormat {
    /// The bytes of a picture's pixels.
    pub(super) fn size(self) -> usize {
        self.shape.iter().product()
    }

    /// The format in a few bytes. Each version of this crate starts anew, as its decoders may give
    /// other pixels.
    pub(super) fn header(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(PIXELS.to_le_bytes());
        bytes.extend(env!("CARGO_PKG_VERSION").as_bytes());
        for side in self.shape {
            bytes.extend((side as u64).to_le_bytes());
        }
        let name = self.interpolation.name().as_bytes();
        bytes.push(name.len() as u8);
        bytes.extend(name);
        bytes
    }
}

/// A picture whose pixels are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeptPicture {
    /// The file's stamp, if it can be relied on.
    pub(super) stamp: Option<Stamp>,
    /// The hash of its contents.
    pub(super) contents: [u8; 32],
    pub(super) remarks: Remarks,
    /// The number of pictures before its pixels.
    pub(super) slot: u64,
    /// The CRC-32C of its pixels.
    pub(super) crc: u32,
}

/// The kept pictures by their paths below the folder, as the operating system writes them.
pub(super) type KeptPictures = HashMap<Vec<u8>, KeptPicture>;

/// The kept pictures by the SHA-256 of their contents.
pub(super) type ByContents = HashMap<[u8; 32], KeptPicture>;

/// The pictures of a folder whose pixels are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PictureIndex {
    /// The name of the file of pixels has this number, which is new when a file is started anew.
    pub(super) generation: u64,
    pub(super) kept: KeptPictures,
}

impl PictureIndex {
    /// Writes the index.
    pub(super) fn encode(&self, format: PixelFormat) -> Vec<u8> {
        let mut bytes = format.header();
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend((self.kept.len() as u64).to_le_bytes());
        for (path, picture) in &self.kept {
            // Longer paths are never kept.
            bytes.extend((path.len() as u16).to_le_bytes());
            bytes.extend(path);
            let words = picture.stamp.map_or([u64::MAX; 6], |stamp| stamp.0);
            (words.iter()).for_each(|word| bytes.extend(word.to_le_bytes()));
            bytes.extend(picture.contents);
            bytes.push(picture.remarks.bits());
            bytes.extend(picture.crc.to_le_bytes());
            bytes.extend(picture.slot.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    /// Reads an index of this format; `None` if it is damaged or of another one.
    pub(super) fn decode(format: PixelFormat, bytes: &[u8]) -> Option<Self> {
        let (bytes, crc) = bytes.split_last_chunk::<4>()?;
        let mut rest = bytes.strip_prefix(&format.header()[..])?;
        if crc32c::crc32c(bytes) != u32::from_le_bytes(*crc) {
            return None;
        }
        let generation = rest.read_u64::<LittleEndian>().ok()?;
        let count = rest.read_u64::<LittleEndian>().ok()? as usize;
        if count > rest.len() / ENTRY {
            return None;
        }
        let mut kept = KeptPictures::with_capacity(count);
        for _ in 0..count {
            let length = rest.read_u16::<LittleEndian>().ok()?;
            let path;
            (path, rest) = rest.split_at_checked(length.into())?;
            let mut words = [0; 6];
            rest.read_u64_into::<LittleEndian>(&mut words).ok()?;
            let contents;
            (contents, rest) = rest.split_first_chunk::<32>()?;
            let picture = KeptPicture {
                stamp: (words != [u64::MAX; 6]).then_some(Stamp(words)),
                contents: *contents,
                remarks: Remarks::of_bits(rest.read_u8().ok()?),
                crc: rest.read_u32::<LittleEndian>().ok()?,
                slot: rest.read_u64::<LittleEndian>().ok()?,
            };
            kept.insert(path.to_vec(), picture);
        }
        Some(Self { generation, kept })
    }
}
