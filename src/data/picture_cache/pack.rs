//! The kept pixels of a folder.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::index::{ByContents, KeptPicture, PictureIndex, PixelFormat};
use super::names;

/// The index of a folder, and its file of pixels, open for reading.
pub(super) struct Pack {
    pub(super) index: PictureIndex,
    pixels: File,
    size: usize,
}

impl Pack {
    /// Opens the pack of this name; `None` if it is missing, damaged or of another format.
    pub(super) fn open(cache: &Path, stem: &str, format: PixelFormat) -> Option<Self> {
        let index = fs::read(names::index(cache, stem)).ok()?;
        let index = PictureIndex::decode(format, &index)?;
        let pixels = File::open(names::pixels(cache, stem, index.generation)).ok()?;
        Some(Self {
            index,
            pixels,
            size: format.size(),
        })
    }

    /// The pictures by their contents.
    pub(super) fn by_contents(&self) -> ByContents {
        let pictures = self.index.kept.values();
        pictures
            .map(|picture| (picture.contents, *picture))
            .collect()
    }

    /// Reads the pixels of a picture; false if they are damaged.
    pub(super) fn read(&self, picture: &KeptPicture, pixels: &mut [u8]) -> bool {
        let place = picture.slot.checked_mul(self.size as u64);
        let read = place.map(|place| read_at(&self.pixels, pixels, place));
        read.is_some_and(|read| read.is_ok()) && crc32c::crc32c(pixels) == picture.crc
    }
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut place: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt as _;
    while !bytes.is_empty() {
        let read = file.seek_read(bytes, place)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[read..];
        place += read as u64;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
