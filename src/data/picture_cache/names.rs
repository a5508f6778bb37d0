//! The names of the cache's files.
//!
//! A folder's pack is `FORMAT-FOLDER.index`, `FORMAT-FOLDER-GENERATION.pixels`, `FORMAT-FOLDER.fingerprints`
//! and `FORMAT-FOLDER.lock`; each part is 16 hexadecimal digits. A file that is being replaced has another
//! one beside it, which ends in `.partial`.

use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::index::PixelFormat;
use crate::data::sha256;

/// The start of the names of a folder's files.
pub(super) fn stem(format: PixelFormat, folder: &Path) -> String {
    let digits = |bytes: &[u8]| sha256::hex(&Sha256::digest(bytes)[..8]);
    format!(
        "{}-{}",
        digits(&format.header()),
        digits(folder.as_os_str().as_encoded_bytes())
    )
}

/// The index of a pack in the cache's folder.
pub(super) fn index(cache: &Path, stem: &str) -> PathBuf {
    cache.join(format!("{stem}.index"))
}

/// The fingerprints of the data sets that were read from a pack.
pub(super) fn fingerprints(cache: &Path, stem: &str) -> PathBuf {
    cache.join(format!("{stem}.fingerprints"))
}

/// The file that whoever changes a pack locks. It stays when the pack is removed, so that nobody
/// locks a file that is gone.
pub(super) fn lock(cache: &Path, stem: &str) -> PathBuf {
    cache.join(format!("{stem}.lock"))
}

/// The pixels of a pack.
pub(super) fn pixels(cache: &Path, stem: &str, generation: u64) -> PathBuf {
    cache.join(format!("{stem}-{generation:016x}.pixels"))
}

/// The stem of a file of the cache, and what follows it; `None` for any other file.
pub(super) fn parts(path: &Path) -> Option<(&str, &str)> {
    let name = path.file_name()?.to_str()?;
    let (stem, rest) = name.split_at_checked(33)?;
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (format, folder) = stem.split_once('-')?;
    let is_stem = format.len() == 16 && is_digits(format) && is_digits(folder);
    let is_rest = rest == ".lock"
        || matches!(
            rest.strip_suffix(".partial").unwrap_or(rest),
            ".index" | ".fingerprints"
        )
        || (rest.strip_prefix('-'))
            .and_then(|rest| rest.strip_suffix(".pixels"))
            .is_some_and(|digits| digits.len() == 16 && is_digits(digits));
    (is_stem && is_rest).then_some((stem, rest))
}
