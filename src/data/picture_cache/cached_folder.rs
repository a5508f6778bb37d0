//! Reads the pictures of one folder through the cache.

use std::fs::{self, FileTimes};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use super::fingerprints::{Fingerprints, identity};
use super::index::{ByContents, KeptPicture, KeptPictures, PixelFormat};
use super::names;
use super::pack::Pack;
use super::remarks::Remarks;
use super::stamp::Stamp;
use super::store::PictureCache;
use super::writer::Writer;
use crate::data::dataset::Dataset;
use crate::data::error::DataError;
use crate::data::picture::Picture;
use crate::memory::in_words;
use crate::words::counted;

/// Files that are together smaller are read so soon that no pack is made of them.
const WORTHWHILE: u64 = 1 << 20;
/// The most other folders whose packs are searched.
const MOST_OTHERS: usize = 16;

/// The pictures below a folder, read through a cache.
pub(in crate::data) struct CachedFolder<'a> {
    cache: &'a PictureCache,
    /// The folder, as the paths of the pictures name it.
    folder: PathBuf,
    format: PixelFormat,
    /// The start of the names of the pack's files.
    stem: String,
    /// What was kept before.
    own: Option<Pack>,
    /// The pictures of `own` by their contents, once they are needed.
    own_by_contents: OnceLock<ByContents>,
    /// The packs that others of the same format have made, once they are needed.
    others: OnceLock<Vec<(Pack, ByContents)>>,
    /// The fingerprints of the data sets, once one is needed.
    fingerprints: Option<Fingerprints>,
    /// The pack, once something is added.
    writer: Option<Writer>,
    /// The number of pictures that were not decoded.
    reused: usize,
    /// The number of pictures that were added.
    added: usize,
    /// Why no more is kept.
    trouble: Option<String>,
    /// When the folder was opened, before any picture was read.
    pub(super) now: SystemTime,
}

/// A picture that was read.
pub(in crate::data) struct FoundPicture {
    /// What to say about it.
    pub(in crate::data) remarks: Remarks,
    /// What to keep, without the slot and the CRC if its pixels are not in the folder's own pack.
    entry: KeptPicture,
    source: PixelSource,
}

/// Where the pixels of a picture come from.
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
        let canonical = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let stem = names::stem(format, &canonical);
        Self {
            own: Pack::open(cache.folder(), &stem, format),
            cache,
            folder: folder.to_owned(),
            format,
            stem,
            own_by_contents: OnceLock::new(),
            others: OnceLock::new(),
            fingerprints: None,
            writer: None,
            reused: 0,
            added: 0,
            trouble: None,
            now: SystemTime::now(),
        }
    }

    /// The path of a picture in the index; `None` if it is too long.
    fn key<'p>(&self, path: &'p Path) -> Option<&'p [u8]> {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let key = below.as_os_str().as_encoded_bytes();
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
        let known = self.own.as_ref().zip(self.key(path));
        let known = known.and_then(|(own, key)| Some((own, own.index.kept.get(key)?)));
        if let Some((own, entry)) = known
            && stamp.is_some()
            && entry.stamp == stamp
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
        if let Some(own) = &self.own {
            let by_contents = self.own_by_contents.get_or_init(|| own.by_contents());
            let entry = by_contents.get(contents);
            if let Some(entry) = entry.filter(|entry| own.read(entry, pixels)) {
                return Some((*entry, PixelSource::Own));
            }
        }
        let others = self.others.get_or_init(|| self.open_others()).iter();
        let mut read = others.filter_map(|(pack, by_contents)| {
            let entry = by_contents.get(contents)?;
            pack.read(entry, pixels).then_some(*entry)
        });
        read.next().map(|entry| (entry, PixelSource::Other))
    }

    /// The packs of the same format that were used last.
    fn open_others(&self) -> Vec<(Pack, ByContents)> {
        let packs = self.cache.packs_by_last_use();
        let format = self.stem.split('-').next().unwrap_or_default();
        packs
            .iter()
            .rev()
            .filter(|stem| stem.starts_with(format) && **stem != self.stem)
            .filter_map(|stem| Pack::open(self.cache.folder(), stem, self.format))
            .take(MOST_OTHERS)
            .map(|pack| {
                let by_contents = pack.by_contents();
                (pack, by_contents)
            })
            .collect()
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
            || self.writer.is_some()
            || decoded >= WORTHWHILE
            || sources.clone().any(|source| source == PixelSource::Other);
        let changes = sources
            .clone()
            .any(|source| source != PixelSource::Unchanged);
        if !changes || !is_worthwhile || self.trouble.is_some() {
            return;
        }
        let all = sources.clone().count();
        let new = sources.filter(|source| !source.is_in_own_pack()).count();
        let ready = match &self.writer {
            Some(writer) => writer.check_room(if writer.starts_anew { all } else { new }),
            None => Writer::begin(self.cache, &self.stem, self.format, new, all)
                .map(|writer| self.writer = Some(writer)),
        };
        if let Err(trouble) = ready.and_then(|()| self.add(pictures)) {
            self.trouble = Some(trouble);
        }
    }

    /// Adds pictures to the pack.
    fn add<'p>(
        &mut self,
        pictures: impl Iterator<Item = (&'p Path, &'p FoundPicture, &'p [u8])>,
    ) -> Result<(), String> {
        let Some(mut writer) = self.writer.take() else {
            return Ok(());
        };
        let (mut kept, mut added) = (KeptPictures::new(), 0);
        for (path, found, pixels) in pictures {
            let Some(key) = self.key(path) else { continue };
            let mut entry = found.entry;
            if writer.starts_anew || !found.source.is_in_own_pack() {
                if let Err(error) = writer.add(&mut entry, pixels) {
                    writer.undo();
                    return Err(error.to_string());
                }
                added += 1;
            } else if found.source == PixelSource::Unchanged {
                continue;
            }
            kept.insert(key.to_owned(), entry);
        }
        writer.index.kept.extend(kept);
        self.added += added;
        self.writer = Some(writer);
        Ok(())
    }

    /// A data set of pictures with these contents, in order, with its fingerprint. It is computed now if it
    /// is not known, as whoever trains needs it; not if no pack is made of the folder.
    pub(in crate::data) fn with_fingerprint(
        &mut self,
        data: Dataset,
        contents: &[[u8; 32]],
    ) -> Dataset {
        let has_pack = self.own.is_some() || self.writer.is_some();
        if !has_pack || self.trouble.is_some() || contents.len() != data.len() {
            return data;
        }
        let pictures = identity(self.format, data.labels(), contents);
        let path = || names::fingerprints(self.cache.folder(), &self.stem);
        let known = self
            .fingerprints
            .get_or_insert_with(|| Fingerprints::read(path()));
        known.of(pictures, data)
    }

    /// Writes the index and returns what is worth saying.
    pub(in crate::data) fn finish(mut self) -> Vec<String> {
        let mut notes = Vec::new();
        let place = self.cache.folder().display().to_string();
        if self.reused > 0 {
            notes.push(format!(
                "took {} from {place}",
                decoded_pictures(self.reused)
            ));
        }
        if let Some(mut writer) = self.writer.take() {
            let known = self.own.as_ref().map(|pack| &pack.index.kept);
            let folder = &self.folder;
            // Pictures that were there before, and are gone.
            writer.index.kept.retain(|key, entry| {
                known.is_none_or(|known| known.get(key) != Some(entry)) || exists(folder, key)
            });
            match writer.finish() {
                Err(error) => self.trouble = Some(error.to_string()),
                Ok(()) if self.added > 0 => {
                    let bytes = (self.added as u64).saturating_mul(self.format.size() as u64);
                    notes.push(format!(
                        "kept {} in {place} ({})",
                        decoded_pictures(self.added),
                        in_words(bytes)
                    ));
                }
                Ok(()) => {}
            }
        } else if self.own.is_some() {
            // The time of its last use. Only the order of removal depends on it.
            let now = FileTimes::new().set_modified(SystemTime::now());
            let index = names::index(self.cache.folder(), &self.stem);
            let file = fs::OpenOptions::new().append(true).open(index);
            let _ = file.and_then(|file| file.set_times(now));
        }
        if let (None, Some(known)) = (&self.trouble, &self.fingerprints) {
            known.keep();
        }
        if let Some(trouble) = &self.trouble {
            notes.push(format!(
                "some decoded pictures are not kept in {place}: {trouble}"
            ));
        }
        notes
    }
}

fn decoded_pictures(number: usize) -> String {
    counted(number, "decoded picture")
}

impl FoundPicture {
    /// The SHA-256 of the picture's file.
    pub(in crate::data) fn contents(&self) -> [u8; 32] {
        self.entry.contents
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
