//! The kept pixels of a folder.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::index::{self, KeptPicture, KeptPictures, PixelFormat};

pub(super) const EXTENSION: &str = "pixels";

/// The index of a folder, and its file of pixels, open for reading.
pub(super) struct Pack {
    pub(super) kept: KeptPictures,
    by_contents: OnceLock<HashMap<[u8; 32], KeptPicture>>,
    pixels: File,
    size: usize,
}

impl Pack {
    /// Opens the pack with this index; `None` if it is missing, damaged or of another format.
    pub(super) fn open(index: &Path, format: PixelFormat) -> Option<Self> {
        Some(Self {
            kept: index::decode(format, &fs::read(index).ok()?)?,
            by_contents: OnceLock::new(),
            pixels: File::open(pixels(index)).ok()?,
            size: format.size(),
        })
    }

    /// The picture with these contents.
    pub(super) fn with_contents(&self, contents: &[u8; 32]) -> Option<KeptPicture> {
        let by_contents = self.by_contents.get_or_init(|| {
            let pictures = self.kept.values();
            pictures
                .map(|picture| (picture.contents, *picture))
                .collect()
        });
        by_contents.get(contents).copied()
    }

    /// Reads the pixels of a picture; false if they are damaged.
    pub(super) fn read(&self, picture: &KeptPicture, pixels: &mut [u8]) -> bool {
        let place = picture.slot.checked_mul(self.size as u64);
        let read = place.map(|place| read_at(&self.pixels, pixels, place));
        read.is_some_and(|read| read.is_ok()) && crc32c::crc32c(pixels) == picture.crc
    }
}

/// The file of pixels beside an index.
pub(super) fn pixels(index: &Path) -> PathBuf {
    index.with_extension(EXTENSION)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

#[cfg(windows)]
fn read_at(file: &File, mut bytes: &mut [u8], mut place: u64) -> io::Result<()> {
    use std::os::windows::fs::FileExt as _;
    while !bytes.is_empty() {
        match file.seek_read(bytes, place)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (bytes, place) = (&mut bytes[read..], place + read as u64),
        }
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_: &File, _: &mut [u8], _: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
