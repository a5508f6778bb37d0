//! Recognises unchanged files without reading them.

use std::fs::Metadata;
use std::time::{Duration, SystemTime};

/// The size, the times of change and the place of a file. On Unix the file system sets one of the
/// times at every change, so that a file with the same stamp has the same contents, except on those
/// that lack it, such as FAT. On Windows, where the standard library does not give that time, a program
/// can change a file and restore the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(pub(super) [u64; 6]);

/// File systems record times in steps of up to two seconds. A file that has just changed may do so
/// again within the same step.
const UNSETTLED: Duration = Duration::from_secs(3);

impl Stamp {
    /// The stamp of a file that is `now` about to be read; `None` if it cannot be relied on later.
    pub(super) fn of(file: &Metadata, now: SystemTime) -> Option<Self> {
        let (words, changed) = words(file)?;
        let is_settled = now.duration_since(changed).is_ok_and(|age| age > UNSETTLED);
        is_settled.then_some(Self(words))
    }
}

/// The stamp, and when the file changed last.
#[cfg(unix)]
fn words(file: &Metadata) -> Option<([u64; 6], SystemTime)> {
    use std::os::unix::fs::MetadataExt as _;
    let in_ns = |seconds: i64, ns: i64| (seconds as u64).wrapping_mul(1_000_000_000) ^ ns as u64;
    let words = [
        file.size(),
        in_ns(file.mtime(), file.mtime_nsec()),
        in_ns(file.ctime(), file.ctime_nsec()),
        file.ino(),
        file.dev(),
        0,
    ];
    let changed = u64::try_from(file.ctime()).ok()?;
    let changed = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(changed + 1))?;
    Some((words, changed.max(file.modified().ok()?)))
}

#[cfg(windows)]
fn words(file: &Metadata) -> Option<([u64; 6], SystemTime)> {
    use std::os::windows::fs::MetadataExt as _;
    let words = [
        file.file_size(),
        file.last_write_time(),
        file.creation_time(),
        0,
        0,
        1,
    ];
    Some((words, file.modified().ok()?.max(file.created().ok()?)))
}

#[cfg(not(any(unix, windows)))]
fn words(_: &Metadata) -> Option<([u64; 6], SystemTime)> {
    None
}
