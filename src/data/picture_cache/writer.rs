//! Adds to a folder's pack.

use std::fs::{self, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::index::{KeptPicture, KeptPictures, PictureIndex, PixelFormat};
use super::names;
use super::pack::Pack;
use super::store::PictureCache;
use crate::disk;
use crate::memory::in_words;

/// One part in this many of the free space may be used by what is added.
const SHARE_OF_FREE_SPACE: u64 = 4;

/// What a picture takes in the index, about.
const BYTES_IN_INDEX: u64 = 128;

/// A folder's pack, locked and open for adding.
pub(super) struct Writer {
    cache: PictureCache,
    stem: String,
    format: PixelFormat,
    /// Held until the index is written.
    _lock: disk::File,
    /// What others have kept since the folder was opened, and what was added.
    pub(super) index: PictureIndex,
    /// The file of pixels and its path.
    pixels: Option<(disk::File, PathBuf)>,
    /// The number of pictures in the file of pixels.
    slots: u64,
    /// The number of those that are not new.
    old_slots: u64,
    /// Whether the pixels go to a new file, so that pictures in the old one must be added again.
    pub(super) starts_anew: bool,
}

impl Writer {
    /// Locks a pack to add this many pictures, of which `all` are at hand.
    ///
    /// # Errors
    /// Another process is adding to it, there is too little room, or the disk refuses; in words.
    pub(super) fn begin(
        cache: &PictureCache,
        stem: &str,
        format: PixelFormat,
        new: usize,
        all: usize,
    ) -> Result<Self, String> {
        let failed = |error: io::Error| error.to_string();
        disk::make_private_folder(cache.folder()).map_err(failed)?;
        let lock = disk::File::append(&names::lock(cache.folder(), stem)).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => "another process is adding to it".to_owned(),
            TryLockError::Error(error) => failed(error),
        })?;
        let size = format.size() as u64;
        // Only now nobody else can change it.
        let index = Pack::open(cache.folder(), stem, format).map(|pack| pack.index);
        let pixels = index.as_ref().map(|index| {
            let path = names::pixels(cache.folder(), stem, index.generation);
            let bytes = fs::metadata(&path).map_or(0, |file| file.len());
            (path, bytes)
        });
        let mut writer = Self {
            cache: cache.clone(),
            stem: stem.to_owned(),
            format,
            _lock: lock,
            index: index.unwrap_or_default(),
            pixels: None,
            slots: 0,
            old_slots: 0,
            starts_anew: true,
        };
        if let Some((path, bytes)) = pixels {
            // Whoever was interrupted while writing leaves a part of a picture.
            let slots = bytes.div_ceil(size);
            let is_mostly_used = writer.index.kept.len() as u64 * 2 >= slots;
            let all = (slots + new as u64).saturating_mul(size + BYTES_IN_INDEX);
            let fits = all <= cache.limit;
            if is_mostly_used && fits {
                writer.check_room(new)?;
                let mut file = disk::File::append(&path).map_err(failed)?;
                let missing = slots * size - bytes;
                (file.write_all(&vec![0; missing as usize])).map_err(failed)?;
                writer.pixels = Some((file, path));
                (writer.slots, writer.old_slots, writer.starts_anew) = (slots, slots, false);
                return Ok(writer);
            }
        }
        writer.check_room(all)?;
        let generation = generation_after(writer.index.generation);
        writer.index = PictureIndex {
            generation,
            kept: KeptPictures::new(),
        };
        let path = names::pixels(cache.folder(), stem, generation);
        let file = disk::File::create_new(&path).map_err(failed)?;
        writer.pixels = Some((file, path));
        Ok(writer)
    }

    /// Makes room for this many more pictures, and checks that there is enough.
    ///
    /// # Errors
    /// There is too little room, in words.
    pub(super) fn check_room(&self, new: usize) -> Result<(), String> {
        let size = self.format.size() as u64 + BYTES_IN_INDEX;
        let bytes = (new as u64).saturating_mul(size);
        let all = (self.slots + new as u64).saturating_mul(size);
        if all > self.cache.limit {
            let [all, limit] = [all, self.cache.limit].map(in_words);
            return Err(format!(
                "those of the folder take {all}, more than the limit of {limit}"
            ));
        }
        let free = fs4::available_space(self.cache.folder()).map_err(|error| error.to_string())?;
        if bytes.saturating_mul(SHARE_OF_FREE_SPACE) > free {
            let [bytes, free] = [bytes, free].map(in_words);
            return Err(format!("they take {bytes}, and only {free} is free"));
        }
        self.cache.make_room(bytes, &self.stem);
        Ok(())
    }

    /// Adds the pixels of a picture, and completes its entry.
    pub(super) fn add(&mut self, entry: &mut KeptPicture, pixels: &[u8]) -> io::Result<()> {
        let Some((file, _)) = &mut self.pixels else {
            return Err(io::ErrorKind::Other.into());
        };
        file.write_all(pixels)?;
        (entry.slot, entry.crc) = (self.slots, crc32c::crc32c(pixels));
        self.slots += 1;
        Ok(())
    }

    /// Writes the index. Afterwards the pack has what was added.
    ///
    /// # Errors
    /// The disk is full or refuses. The pack is as it was before.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let index = self.index.encode(self.format);
        let path = names::index(self.cache.folder(), &self.stem);
        let written = disk::replace(&path, &index).or_else(|error| {
            // It may have been replaced, and only what comes afterwards has failed.
            let is_replaced = fs::read(&path).is_ok_and(|found| found == index);
            is_replaced.then_some(()).ok_or(error)
        });
        if written.is_err() {
            self.undo();
        } else if self.starts_anew {
            self.remove_old_pixels();
        }
        written
    }

    /// Removes the pack's files of pixels except the one of its index.
    fn remove_old_pixels(&self) {
        let current = names::pixels(self.cache.folder(), &self.stem, self.index.generation);
        let files = self.cache.by_pack().remove(&self.stem).unwrap_or_default();
        let is_old = |path: &Path| path.extension() == current.extension() && path != current;
        for (path, _) in files.iter().filter(|(path, _)| is_old(path)) {
            // On Windows it stays while another process reads it.
            let _ = fs::remove_file(path);
        }
    }

    /// Removes what was added, so that a full disk is no fuller than before.
    pub(super) fn undo(&mut self) {
        let Some((file, path)) = self.pixels.take() else {
            return;
        };
        drop(file);
        // If this fails, the pixels are in no index, and the next one who writes starts anew.
        let _ = match self.starts_anew {
            true => fs::remove_file(path),
            false => disk::truncate(&path, self.old_slots * self.format.size() as u64),
        };
    }
}

/// The generation after this one, which none of a pack whose index was lost has had either.
fn generation_after(before: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| now.as_nanos() as u64);
    nanoseconds.max(before.wrapping_add(1))
}
