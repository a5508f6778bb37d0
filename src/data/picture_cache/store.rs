//! The folder of the cache.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::names;
use crate::disk::{self, cache_folder};

/// The default of [`PictureCache::limit`]: 4 GiB.
const LIMIT: u64 = 4 << 30;

/// Keeps decoded and resized pictures on the disk, so that a folder is decoded once.
///
/// A picture is decoded again if its file has changed: another size, time of change or place on the
/// disk, and other contents. A picture that was copied or moved is found by its contents. Damaged
/// files of the cache count as missing. The folder can be deleted at any time.
///
/// ```
/// use cnn_gpu::data::{PictureCache, ReadOptions};
/// let folder = tempfile::tempdir()?;
/// let cache = PictureCache::in_folder(folder.path()).limit(1 << 30);
/// let options = ReadOptions::default().shape([64, 64, 3]).cache(cache.clone());
/// assert_eq!(options.cache, Some(cache));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PictureCache {
    folder: PathBuf,
    pub(super) limit: u64,
}

impl PictureCache {
    /// A cache in a folder, which is created when something is kept.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            limit: LIMIT,
        }
    }

    /// The cache of the user: `pictures` in the folder that `CNN_GPU_CACHE_DIR` names, or else in
    /// `cnn-gpu` in the user's cache folder, if there is a home folder; on Linux
    /// `~/.cache/cnn-gpu/pictures`.
    #[must_use]
    pub fn of_user() -> Option<Self> {
        cache_folder("pictures").map(Self::in_folder)
    }

    /// Sets the most bytes that the cache may take. Beyond it, the folders that were not read for
    /// the longest time are removed. Of a folder whose parts together take more, only those parts are
    /// kept that fit. Default 4 GiB.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The bytes that the cache takes; 0 if there is none.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.files()?.iter().map(|(_, bytes)| bytes).sum())
    }

    /// Removes everything that is kept.
    ///
    /// # Errors
    /// The folder cannot be read, or a file cannot be removed.
    pub fn clear(&self) -> io::Result<()> {
        for (path, _) in self.files()? {
            match fs::remove_file(path) {
                // By another process.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    /// The files of the cache with their sizes.
    pub(super) fn files(&self) -> io::Result<Vec<(PathBuf, u64)>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let path = entry?.path();
            // Another process may have removed it.
            if let (Some(_), Ok(metadata)) = (names::parts(&path), fs::metadata(&path)) {
                files.push((path, metadata.len()));
            }
        }
        Ok(files)
    }

    /// The packs, with the one first that was not used for the longest time.
    pub(super) fn packs_by_last_use(&self) -> Vec<String> {
        let used = |stem: &String| {
            let index = fs::metadata(names::index(&self.folder, stem));
            (index.and_then(|file| file.modified())).unwrap_or(SystemTime::UNIX_EPOCH)
        };
        let mut stems: Vec<String> = self.by_pack().into_keys().collect();
        stems.sort_by_cached_key(used);
        stems
    }

    /// The files of each pack besides its lock, and their sizes.
    pub(super) fn by_pack(&self) -> BTreeMap<String, Vec<(PathBuf, u64)>> {
        let mut packs: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, bytes) in self.files().unwrap_or_default() {
            if let Some((stem, rest)) = names::parts(&path)
                && rest != ".lock"
            {
                packs
                    .entry(stem.to_owned())
                    .or_default()
                    .push((path, bytes));
            }
        }
        packs
    }

    /// Removes the packs that were not used for the longest time, until there is room for this many
    /// bytes. Keeps the pack `own` and those that someone is adding to.
    pub(super) fn make_room(&self, new: u64, own: &str) {
        let mut packs = self.by_pack();
        let mut bytes: u64 = packs.values().flatten().map(|(_, bytes)| bytes).sum();
        for stem in self.packs_by_last_use() {
            if bytes.saturating_add(new) <= self.limit {
                return;
            }
            if stem == own {
                continue;
            }
            let Some(_lock) = lock(&self.folder, &stem) else {
                continue;
            };
            for (path, size) in packs.remove(&stem).unwrap_or_default() {
                // On Windows files stay while another process reads them.
                if fs::remove_file(path).is_ok() {
                    bytes = bytes.saturating_sub(size);
                }
            }
        }
    }
}

/// Locks a pack to remove it; `None` if someone is adding to it.
fn lock(cache: &Path, stem: &str) -> Option<disk::File> {
    let lock = disk::File::append(&names::lock(cache, stem)).ok()?;
    lock.try_lock().ok().map(|()| lock)
}
