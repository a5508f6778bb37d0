//! Everything that this crate writes to a disk goes through here: files that are whole or not there,
//! files that grow, and folders.
//!
//! A disk fails in few ways and at every place: it is full, it may not be written to, the folder is
//! gone. [`watch`] stands between the crate and the disk, so that a test can have each write fail in
//! turn.

use std::cell::RefCell;
use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act<'a> {
    /// A folder is made, with those above it.
    MakeFolder,
    /// A file is made, or opened to be written.
    Open,
    /// These bytes are written.
    Write(&'a [u8]),
    /// What was written is sent to the disk.
    Sync,
    /// A file takes the place of another.
    Rename,
}

type Watcher = dyn FnMut(Act<'_>, &Path) -> io::Result<()>;

thread_local! {
    static WATCHER: RefCell<Option<Box<Watcher>>> = const { RefCell::new(None) };
}

/// For tests: asks `watcher` before everything that `work` does to a disk on this thread. An error that it
/// answers takes the act's place.
///
/// ```
/// use std::io::{Error, ErrorKind};
/// use cnn_gpu::disk;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("file");
/// let full = |_: disk::Act<'_>, _: &std::path::Path| Err(Error::from(ErrorKind::StorageFull));
/// let written = disk::watch(full, || disk::replace(&path, b"bytes"));
/// assert!(written.is_err() && !path.exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(hidden)]
pub fn watch<T>(
    watcher: impl FnMut(Act<'_>, &Path) -> io::Result<()> + 'static,
    work: impl FnOnce() -> T,
) -> T {
    /// Puts the watcher before back, if `work` panics too.
    struct Before(Option<Box<Watcher>>);
    impl Drop for Before {
        fn drop(&mut self) {
            WATCHER.set(self.0.take());
        }
    }
    let _before = Before(WATCHER.replace(Some(Box::new(watcher))));
    work()
}

fn ask(act: Act<'_>, path: &Path) -> io::Result<()> {
    WATCHER.with_borrow_mut(|watcher| match watcher {
        Some(watcher) => watcher(act, path),
        None => Ok(()),
    })
}

/// A file to be written.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    inner: fs::File,
}

impl File {
    /// An empty file, in place of what was there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::open(
            path,
            OpenOptions::new().write(true).create(true).truncate(true),
        )
    }

    /// An empty file where there is none.
    ///
    /// # Errors
    /// It cannot be made, or there is one.
    pub fn create_new(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().write(true).create_new(true))
    }

    /// A file that grows, begun if there is none.
    ///
    /// # Errors
    /// It cannot be opened or made.
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

    /// Sends what was written to the disk, and waits.
    ///
    /// # Errors
    /// It does not get there.
    pub fn sync(&self) -> io::Result<()> {
        ask(Act::Sync, &self.path)?;
        self.inner.sync_all()
    }

    /// Locks the file for this process until it is dropped, unless another has.
    ///
    /// # Errors
    /// Another has, or the file system has no locks.
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

/// Makes a folder and those above it, where they are missing.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    ask(Act::MakeFolder, path)?;
    fs::create_dir_all(path)
}

/// Makes a folder that was not there, in one that is.
///
/// # Errors
/// It is there, or cannot be made.
pub fn make_new_folder(path: &Path) -> io::Result<()> {
    ask(Act::MakeFolder, path)?;
    fs::create_dir(path)
}

/// Gives a file, written and synced, the name `path`; what was there before is gone.
///
/// # Errors
/// It cannot be renamed.
pub fn rename(from: &Path, path: &Path) -> io::Result<()> {
    ask(Act::Rename, path)?;
    fs::rename(from, path)
}

/// Writes `bytes` to a file beside `path`, which then takes its place: whoever looks at `path`, after
/// a power failure too, finds the old file or the new one, whole.
///
/// # Errors
/// The disk is full, the folder is gone or may not be written to. What was at `path` is still there, or
/// the new file, whole, if only its name could not be made to last.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = partial(path);
    let written = write(&partial, bytes).and_then(|()| rename(&partial, path));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to report.
        let _ = fs::remove_file(&partial);
        return written;
    }
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

/// Where what is to be at `path` lies while it is not whole.
pub fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    // A rename may reach the disk before the bytes do, unless they are sent there first.
    file.sync()
}

/// Makes a rename last. Only Unix can open a folder; elsewhere the system sees to it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    ask(Act::Sync, folder)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        // A folder in the place of the partial file: it cannot be made.
        fs::create_dir(folder.path().join("file.partial")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn nothing_is_left_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_watcher_is_asked_before_each_act_and_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        replace(&path, b"old").unwrap();
        for failing in 0..5 {
            let mut act = 0;
            let watcher = move |_: Act<'_>, _: &Path| {
                act += 1;
                match act > failing {
                    true => Err(io::ErrorKind::StorageFull.into()),
                    false => Ok(()),
                }
            };
            assert!(watch(watcher, || replace(&path, b"new")).is_err());
            let expected: &[u8] = if failing < 4 { b"old" } else { b"new" };
            assert_eq!(fs::read(&path).unwrap(), expected, "act {failing}");
        }
        replace(&path, b"newer").unwrap();
    }
}
