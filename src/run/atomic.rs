//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes `bytes` to a file beside `path`, which then takes its place: whoever looks at `path`, after
/// a power failure too, finds the old file or the new one, whole.
///
/// # Errors
/// The disk is full, the folder is gone or may not be written to. What was at `path` is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = write(&partial, bytes).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // What is left of it is of no use; the first error is the one to report.
        let _ = fs::remove_file(&partial);
        return written;
    }
    sync_folder(path.parent().unwrap_or(Path::new("")))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    // A rename may reach the disk before the bytes do, unless they are sent there first.
    file.sync_all()
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
    File::open(folder)?.sync_all()
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
}
