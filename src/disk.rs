//! All writes of this crate to the disk: atomically replaced files, growing files, and folders.
//!
//! Any write can fail: the disk is full, permission is missing, the folder is gone. With [`watch`],
//! a test can make each write fail in turn.

use std::cell::RefCell;
use std::env;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// An operation about to be performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// Creates a folder and its parents.
    MakeFolder,
    /// Creates a file, or opens it for writing.
    Open,
    /// Writes these bytes.
    Write(&'a [u8]),
    /// Flushes what was written to the disk.
    Sync,
    /// Renames a file, which may replace another.
    Rename,
}

type Watcher = dyn FnMut(Act<'_>, &Path) -> io::Result<()>;

thread_local! {
    static WATCHER: RefCell<Option<Box<Watcher>>> = const { RefCell::new(None) };
}

/// For tests: calls `watcher` before every operation of `work` on this thread. If it returns an
/// error, the operation fails with that error instead of being performed.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use cnn_gpu::internal::disk;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("file");
/// let full = |_: disk::Act<'_>, _: &std::path::Path| Err(Error::from(ErrorKind::StorageFull));
/// let written = disk::watch(full, || disk::replace(&path, b"bytes"));
/// assert!(written.is_err() && !path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn watch<T>(
    watcher: impl FnMut(Act<'_>, &Path) -> io::Result<()> + 'static,
    work: impl FnOnce() -> T,
) -> T {
    /// Restores the previous watcher, even if `work` panics.
    struct Previous(Option<Box<Watcher>>);
    impl Drop for Previous {
        fn drop(&mut self) {
            WATCHER.set(self.0.take());
        }
    }
    let _previous = Previous(WATCHER.replace(Some(Box::new(watcher))));
    work()
}

fn ask(act: Act<'_>, path: &Path) -> io::Result<()> {
    WATCHER.with_borrow_mut(|watcher| match watcher {
        Some(watcher) => watcher(act, path),
        None => Ok(()),
    })
}

/// A file open for writing.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    inner: fs::File,
}

impl File {
    /// Creates an empty file, truncating an existing one.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::open(
            path,
            OpenOptions::new().write(true).create(true).truncate(true),
        )
    }

    /// Creates an empty file.
    ///
    /// # Errors
    /// The file exists or cannot be created.
    pub fn create_new(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().write(true).create_new(true))
    }

    /// Opens a file for reading and appending; creates it if it is missing.
    ///
    /// # Errors
    /// The file cannot be opened or created.
    pub fn append(path: &Path) -> io::Result<Self> {
        Self::open(
            path,
            OpenOptions::new().read(true).append(true).create(true),
        )
    }

    fn open(path: &Path, options: &OpenOptions) -> io::Result<Self> {
        ask(Act::Open, path)?;
        Ok(Self {
            inner: options.open(path)?,
            path: path.to_owned(),
        })
    }

    /// Flushes what was written to the disk, and waits for it.
    ///
    /// # Errors
    /// The data cannot be flushed.
    pub fn sync(&self) -> io::Result<()> {
        ask(Act::Sync, &self.path)?;
        self.inner.sync_all()
    }

    /// The number of bytes in the file.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn size(&self) -> io::Result<u64> {
        Ok(self.inner.metadata()?.len())
    }

    /// Locks the file until it is dropped.
    ///
    /// # Errors
    /// Another process holds the lock, or the file system does not support locks.
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        self.inner.try_lock()
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ask(Act::Write(bytes), &self.path)?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl Read for File {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.inner.read(bytes)
    }
}

/// The environment variable that replaces `cnn-gpu` in the user's cache folder.
const CACHE: &str = "CNN_GPU_CACHE_DIR";

/// The folder NAME in the folder that `CNN_GPU_CACHE_DIR` names, or else `cnn-gpu/NAME` in the user's
/// cache folder, if the user has a home folder.
#[must_use]
pub fn cache_folder(name: &str) -> Option<PathBuf> {
    if let Some(folder) = env::var_os(CACHE).filter(|folder| !folder.is_empty()) {
        return Some(PathBuf::from(folder).join(name));
    }
    let strategy = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(strategy.cache_dir().join("cnn-gpu").join(name))
}

/// Creates a folder and its parents, if missing.
///
/// # Errors
/// The folder cannot be created.
pub fn make_folder(path: &Path) -> io::Result<()> {
    ask(Act::MakeFolder, path)?;
    fs::create_dir_all(path)
}

/// Creates a folder and its parents, if missing. On Unix only its owner can read it.
///
/// # Errors
/// The folder cannot be created.
#[cfg(feature = "pictures")]
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    path.parent().map_or(Ok(()), make_folder)?;
    ask(Act::MakeFolder, path)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // By another process.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

/// Shortens a file to this many bytes.
///
/// # Errors
/// The file is missing or cannot be changed.
#[cfg(feature = "pictures")]
pub fn truncate(path: &Path, bytes: u64) -> io::Result<()> {
    // Not of a file that is open to append to, which Windows refuses.
    OpenOptions::new().write(true).open(path)?.set_len(bytes)
}

/// Creates a folder in an existing one.
///
/// # Errors
/// The folder exists or cannot be created.
pub fn make_new_folder(path: &Path) -> io::Result<()> {
    ask(Act::MakeFolder, path)?;
    fs::create_dir(path)
}

/// Renames a written and synced file to `path`, replacing any file there.
///
/// # Errors
/// The file cannot be renamed.
pub fn rename(from: &Path, path: &Path) -> io::Result<()> {
    ask(Act::Rename, path)?;
    fs::rename(from, path)
}

/// Replaces the file at `path` atomically: writes `bytes` to a temporary file and renames it. Even
/// after a power failure, `path` holds either the old file or the new one, complete.
///
/// # Errors
/// The disk is full, or the folder is gone or not writable. `path` still holds the old file, or the
/// complete new one if only syncing the folder failed.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Like [`replace`], with what `contents` writes, so that it need not be in memory as a whole.
///
/// # Errors
/// Those of [`replace`] and of `contents`.
pub fn replace_with(
    path: &Path,
    contents: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial(path);
    let written = write(&partial, contents).and_then(|()| rename(&partial, path));
    if written.is_err() {
        // The partial file is useless; the first error is the one to report.
        let _ = fs::remove_file(&partial);
        return written;
    }
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// Like [`replace`] for several files in one folder. No file is replaced before all are written, so
/// that a full disk leaves all old files, and no new one beside them.
///
/// # Errors
/// Those of [`replace`], with the path of the file.
pub fn replace_all(files: &[(PathBuf, &[u8])]) -> Result<(), (PathBuf, io::Error)> {
    let mut partials = Vec::new();
    let mut replaced = || {
        for (path, bytes) in files {
            let partial = partial(path);
            let written = write(&partial, |file| file.write_all(bytes));
            partials.push(partial);
            written.map_err(|e| (path.clone(), e))?;
        }
        for (partial, (path, _)) in partials.iter().zip(files) {
            rename(partial, path).map_err(|e| (path.clone(), e))?;
        }
        Ok(())
    };
    let result = replaced();
    if result.is_err() {
        for partial in &partials {
            // Those renamed are gone; the first error is the one to report.
            let _ = fs::remove_file(partial);
        }
        return result;
    }
    match files.last() {
        Some((path, _)) => {
            sync_folder(path.parent().unwrap_or(Path::new(""))).map_err(|e| (path.clone(), e))
        }
        None => Ok(()),
    }
}

/// The path of the temporary file for `path`.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn write(path: &Path, contents: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let mut file = File::create(path)?;
    contents(&mut file)?;
    // Without this, the rename could reach the disk before the bytes.
    file.sync()
}

/// Makes a rename durable. Only Unix can open a folder; other systems take care of it themselves.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    ask(Act::Sync, folder)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        // A folder with its name keeps the partial file from being created.
        fs::create_dir(folder.path().join("file.partial")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn no_partial_file_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_watcher_is_called_before_each_act_and_removed_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        for failing in 0..5 {
            let mut act = 0;
            let watcher = move |_: Act<'_>, _: &Path| {
                act += 1;
                if act > failing {
                    Err(io::ErrorKind::StorageFull.into())
                } else {
                    Ok(())
                }
            };
            assert!(watch(watcher, || replace(&path, b"new")).is_err());
            let expected: &[u8] = if failing < 4 { b"old" } else { b"new" };
            assert_eq!(fs::read(&path).unwrap(), expected, "act {failing}");
        }
        replace(&path, b"newer").unwrap();
    }
}
