//! Reads the pictures of one folder through the cache.

use std::fs::{self, FileTimes, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::index::{self, KeptPicture, KeptPictures, PixelFormat};
use super::pack::{self, Pack};
use super::stamp::Stamp;
use super::{PictureCache, Remarks};
use crate::data::error::DataError;
use crate::data::picture::Picture;
use crate::data::sha256;
use crate::disk;
use crate::memory::in_words;
use crate::words::counted;

/// Files that are together smaller are read so soon that nothing is kept.
const WORTHWHILE: u64 = 1 << 20;

/// The pictures below a folder, read through a cache.
pub(in crate::data) struct CachedFolder<'a> {
    cache: &'a PictureCache,
    folder: PathBuf,
    format: PixelFormat,
    /// The path of the folder's index.
    index: PathBuf,
    /// What was kept before.
    own: Option<Pack>,
    /// The packs of other folders with pixels of the same format, once they are needed.
    others: OnceLock<Vec<Pack>>,
    /// The index to write.
    kept: KeptPictures,
    /// The file of pixels, once something is added, and the number of pictures in it.
    pixels: Option<(disk::File, u64)>,
    /// Whether the file of pixels was emptied, because it held little that is in use.
    has_cleared: bool,
    /// Whether the index is to be written.
    has_changed: bool,
    /// The number of pictures that were not decoded.
    reused: usize,
    /// The number of pictures that were added.
    added: usize,
    /// Why no more is kept.
    trouble: Option<String>,
    /// When the folder was opened, before any picture was read.
    pub(super) now: SystemTime,
}

/// Where the pixels of a picture come from.
pub(in crate::data) struct FoundPicture {
    /// What to say about it.
    pub(in crate::data) remarks: Remarks,
    /// What to keep, without the slot and the CRC if its pixels are not in the folder's own pack.
    entry: KeptPicture,
    source: PixelSource,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PixelSource {
    /// The folder's pack, under the same path and stamp.
    Unchanged,
    /// The folder's pack, by its contents.
    Own,
    /// Another folder's pack.
    Other,
    /// A file of this many bytes was decoded.
    Decoded(u64),
}

impl<'a> CachedFolder<'a> {
    pub(in crate::data) fn open(
        cache: &'a PictureCache,
        folder: &Path,
        format: PixelFormat,
    ) -> Self {
        let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let mut name = Sha256::new();
        name.update(format.header());
        name.update(folder.as_os_str().as_encoded_bytes());
        let name = sha256::hex(&name.finalize()[..16]);
        let index = cache.folder().join(name).with_extension(index::EXTENSION);
        let own = Pack::open(&index, format);
        Self {
            kept: own
                .as_ref()
                .map(|pack| pack.kept.clone())
                .unwrap_or_default(),
            cache,
            folder,
            format,
            index,
            own,
            others: OnceLock::new(),
            pixels: None,
            has_cleared: false,
            has_changed: false,
            reused: 0,
            added: 0,
            trouble: None,
            now: SystemTime::now(),
        }
    }

    /// The path of a picture in the index; `None` if it is too long.
    fn key(&self, path: &Path) -> Option<Vec<u8>> {
        let below = match path.strip_prefix(&self.folder) {
            Ok(below) => below.to_owned(),
            // The folder was named by another path than its canonical one.
            Err(_) => fs::canonicalize(path)
                .ok()?
                .strip_prefix(&self.folder)
                .ok()?
                .to_owned(),
        };
        let key = below.into_os_string().into_encoded_bytes();
        (key.len() <= usize::from(u16::MAX)).then_some(key)
    }

    /// Reads the pixels of a picture, and decodes it only if they are not kept.
    ///
    /// # Errors
    /// Those of [`Picture::read`] and [`Picture::resized`].
    pub(in crate::data) fn read(
        &self,
        path: &Path,
        pixels: &mut [u8],
    ) -> Result<FoundPicture, DataError> {
        let unreadable = |source| DataError::Read {
            path: path.into(),
            source,
        };
        let stamp = Stamp::of(&fs::metadata(path).map_err(unreadable)?, self.now);
        let key = self.key(path);
        let known = self
            .own
            .as_ref()
            .zip(key)
            .and_then(|(own, key)| own.kept.get(&key));
        if let (Some(own), Some(entry), Some(stamp)) = (&self.own, known, stamp)
            && entry.stamp == Some(stamp)
            && own.read(entry, pixels)
        {
            return Ok(FoundPicture {
                remarks: entry.remarks,
                entry: *entry,
                source: PixelSource::Unchanged,
            });
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        let contents = contents(path, &bytes);
        if let Some((entry, source)) = self.kept_with(&contents, pixels) {
            return Ok(FoundPicture {
                remarks: entry.remarks,
                entry: KeptPicture { stamp, ..entry },
                source,
            });
        }
        let picture = Picture::from_bytes(path, &bytes)?;
        let resized = picture.resized_by(self.format.interpolation, self.format.shape)?;
        pixels.copy_from_slice(&resized);
        let remarks = Remarks::of(&picture);
        let entry = KeptPicture {
            stamp,
            contents,
            remarks,
            slot: 0,
            crc: 0,
        };
        Ok(FoundPicture {
            remarks,
            entry,
            source: PixelSource::Decoded(bytes.len() as u64),
        })
    }

    /// Reads the pixels of a picture with these contents, if they are kept for any folder.
    fn kept_with(
        &self,
        contents: &[u8; 32],
        pixels: &mut [u8],
    ) -> Option<(KeptPicture, PixelSource)> {
        let mut from = |pack: &Pack| {
            let entry = pack.with_contents(contents)?;
            pack.read(&entry, pixels).then_some(entry)
        };
        if let Some(entry) = self.own.as_ref().and_then(&mut from) {
            return Some((entry, PixelSource::Own));
        }
        let entry = self.others().iter().find_map(from)?;
        Some((entry, PixelSource::Other))
    }

    fn others(&self) -> &[Pack] {
        self.others.get_or_init(|| {
            let files = self.cache.files().unwrap_or_default();
            let is_index = |path: &Path| path.extension().is_some_and(|k| k == index::EXTENSION);
            let others = files.iter().map(|(path, _)| path);
            others
                .filter(|path| is_index(path) && **path != self.index)
                .filter_map(|path| Pack::open(path, self.format))
                .collect()
        })
    }

    /// Keeps pictures that were read: each with its path and its pixels.
    pub(in crate::data) fn keep<'p>(
        &mut self,
        pictures: impl Iterator<Item = (&'p Path, &'p FoundPicture, &'p [u8])> + Clone,
    ) {
        let sources = pictures.clone().map(|(_, found, _)| found.source);
        self.reused += (sources.clone().filter(|source| !source.is_decoded())).count();
        let decoded: u64 = sources.clone().map(PixelSource::decoded_bytes).sum();
        let is_worthwhile = self.own.is_some()
            || self.pixels.is_some()
            || decoded >= WORTHWHILE
            || sources.clone().any(|source| source == PixelSource::Other);
        let adds = sources.clone().any(|source| !source.is_in_own_pack());
        if adds && is_worthwhile && self.trouble.is_none() {
            self.trouble = self.begin().err();
        }
        let adds = |source: &PixelSource| self.has_cleared || !source.is_in_own_pack();
        let new = sources.filter(adds).count() as u64;
        if let Some((_, slots)) = &self.pixels {
            let bytes = (slots + new).saturating_mul(self.format.size() as u64);
            if bytes > self.cache.limit {
                self.pixels = None;
                let [bytes, limit] = [bytes, self.cache.limit].map(in_words);
                self.trouble = Some(format!(
                    "those of the folder take {bytes}, more than the limit of {limit}"
                ));
            }
        }
        for (path, found, pixels) in pictures {
            let adds = self.has_cleared || !found.source.is_in_own_pack();
            if found.source == PixelSource::Unchanged && !adds {
                continue;
            }
            let Some(key) = self.key(path) else { continue };
            let mut entry = found.entry;
            if adds {
                let Some((file, slots)) = &mut self.pixels else {
                    continue;
                };
                if let Err(error) = file.write_all(pixels) {
                    self.trouble = Some(error.to_string());
                    self.pixels = None;
                    continue;
                }
                (entry.slot, entry.crc) = (*slots, crc32c::crc32c(pixels));
                *slots += 1;
                self.added += 1;
            }
            self.kept.insert(key, entry);
            self.has_changed = true;
        }
    }

    /// Opens the file of pixels to add some.
    fn begin(&mut self) -> Result<(), String> {
        if self.pixels.is_some() {
            return Ok(());
        }
        let failed = |error: io::Error| error.to_string();
        disk::make_folder(self.cache.folder()).map_err(failed)?;
        let mut file = disk::File::append(&pack::pixels(&self.index)).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => "another process is adding to it".to_owned(),
            TryLockError::Error(error) => failed(error),
        })?;
        let size = self.format.size() as u64;
        let mut bytes = file.size().map_err(failed)?;
        // Less than half of the file is in use.
        if (self.kept.len() as u64).saturating_mul(2 * size) < bytes {
            file.clear().map_err(failed)?;
            self.kept.clear();
            (self.has_cleared, self.has_changed, bytes) = (true, true, 0);
        }
        // Whoever was interrupted while writing leaves a part of a picture.
        let slots = bytes.div_ceil(size);
        let missing = slots * size - bytes;
        file.write_all(&vec![0; missing as usize]).map_err(failed)?;
        self.pixels = Some((file, slots));
        Ok(())
    }

    /// Writes the index and returns what is worth saying.
    pub(in crate::data) fn finish(mut self) -> Vec<String> {
        let mut notes = Vec::new();
        let place = self.cache.folder().display().to_string();
        if self.reused > 0 {
            let pictures = counted(self.reused, "picture");
            notes.push(format!("{pictures} decoded before, from {place}"));
        }
        if self.has_changed && self.index.parent().is_some_and(Path::is_dir) {
            let known = self.own.as_ref().map(|pack| &pack.kept);
            let folder = &self.folder;
            // Pictures that were not read this time, and are gone.
            self.kept.retain(|key, entry| {
                known.is_none_or(|known| known.get(key) != Some(entry)) || exists(folder, key)
            });
            let index = index::encode(self.format, &self.kept);
            match disk::replace(&self.index, &index) {
                Err(error) => self.trouble = Some(error.to_string()),
                Ok(()) if self.added > 0 => {
                    let bytes = (self.added * self.format.size()) as u64;
                    notes.push(format!(
                        "kept {} decoded in {place} for the next time, {}",
                        counted(self.added, "picture"),
                        in_words(bytes)
                    ));
                }
                Ok(()) => {}
            }
        } else if self.own.is_some() {
            // The time of its last use. Only the order of removal depends on it.
            let now = FileTimes::new().set_modified(SystemTime::now());
            let file = fs::OpenOptions::new().append(true).open(&self.index);
            let _ = file.and_then(|file| file.set_times(now));
        }
        // Before packs are removed.
        self.pixels = None;
        if let Some(trouble) = &self.trouble {
            notes.push(format!(
                "some decoded pictures are not kept in {place}: {trouble}"
            ));
        }
        if self.added > 0 {
            self.remove_oldest();
        }
        notes
    }

    /// Removes the packs that were not used for the longest time, until the cache keeps its limit.
    fn remove_oldest(&self) {
        let Ok(files) = self.cache.files() else {
            return;
        };
        let mut bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let used = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
        let mut packs: Vec<_> = (files.iter())
            .filter(|(path, _)| path.extension().is_some_and(|kind| kind == pack::EXTENSION))
            .filter(|(path, _)| *path != pack::pixels(&self.index))
            .map(|(path, bytes)| (used(&path.with_extension(index::EXTENSION)), path, *bytes))
            .collect();
        packs.sort();
        for (_, path, size) in packs {
            if bytes <= self.cache.limit {
                break;
            }
            // First the index, without which the pixels mean nothing. One that is in use on Windows
            // stays for now.
            let _ = fs::remove_file(path.with_extension(index::EXTENSION));
            if fs::remove_file(path).is_ok() {
                bytes = bytes.saturating_sub(size);
            }
        }
    }
}

#[cfg(test)]
impl FoundPicture {
    /// Whether the file was recognised without being opened.
    pub(super) fn is_unchanged(&self) -> bool {
        self.source == PixelSource::Unchanged
    }
}

impl PixelSource {
    fn is_decoded(self) -> bool {
        matches!(self, Self::Decoded(_))
    }

    /// The bytes of the file that was decoded; 0 if none was.
    fn decoded_bytes(self) -> u64 {
        match self {
            Self::Decoded(bytes) => bytes,
            _ => 0,
        }
    }

    /// Whether the folder's own pack has the pixels.
    fn is_in_own_pack(self) -> bool {
        matches!(self, Self::Unchanged | Self::Own)
    }
}

/// The hash of a picture's contents, and of its extension, by which some formats are recognised.
fn contents(path: &Path, bytes: &[u8]) -> [u8; 32] {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let mut hash = Sha256::new();
    hash.update(extension.as_encoded_bytes());
    hash.update([0]);
    hash.update(bytes);
    hash.finalize().into()
}

/// Whether the picture with this path in the index exists.
#[cfg(unix)]
fn exists(folder: &Path, key: &[u8]) -> bool {
    use std::os::unix::ffi::OsStrExt as _;
    folder.join(std::ffi::OsStr::from_bytes(key)).exists()
}

#[cfg(not(unix))]
fn exists(folder: &Path, key: &[u8]) -> bool {
    str::from_utf8(key).is_ok_and(|key| folder.join(key).exists())
}
