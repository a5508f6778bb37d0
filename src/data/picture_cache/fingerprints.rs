//! The fingerprints of data sets whose pictures are in a pack: hashing all pixels takes longer than reading
//! them. A file of the cache has a line for each, `PICTURES FINGERPRINT`, the last one first, and a CRC-32C of
//! the lines before it in the last line.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use super::index::PixelFormat;
use crate::data::dataset::Dataset;
use crate::data::sha256;
use crate::disk;

/// The most data sets of a folder that are remembered: training, validation and test pictures, with and
/// without limits.
const MOST: usize = 16;
/// The digits of a SHA-256.
const DIGITS: usize = 64;

/// The known fingerprints of a folder's data sets.
pub(super) struct Fingerprints {
    path: PathBuf,
    known: VecDeque<KnownFingerprint>,
    has_changed: bool,
}

/// A data set's fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KnownFingerprint {
    /// The hash of what the data set's pixels and labels follow from.
    pictures: String,
    fingerprint: String,
}

/// What the pixels and labels of a data set follow from: the contents of its pictures, in order.
pub(super) fn identity(format: PixelFormat, labels: &[u8], contents: &[[u8; 32]]) -> String {
    let mut hash = Sha256::new();
    let header = format.header();
    hash.update((header.len() as u64).to_le_bytes());
    hash.update(header);
    hash.update((labels.len() as u64).to_le_bytes());
    hash.update(labels);
    hash.update(contents.as_flattened());
    sha256::hex(&hash.finalize())
}

impl Fingerprints {
    /// Reads a file; a missing or damaged one has none.
    pub(super) fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let known = Self::parse(&text).unwrap_or_default();
        Self {
            path,
            known,
            has_changed: false,
        }
    }

    fn parse(text: &str) -> Option<VecDeque<KnownFingerprint>> {
        let (lines, crc) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        if crc != checksum(&format!("{lines}\n")) {
            return None;
        }
        let is_hash =
            |text: &str| text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let line = |line: &str| {
            let (pictures, fingerprint) = line.split_once(' ')?;
            (is_hash(pictures) && is_hash(fingerprint)).then(|| KnownFingerprint {
                pictures: pictures.into(),
                fingerprint: fingerprint.into(),
            })
        };
        lines.lines().map(line).collect()
    }

    /// The data set with its fingerprint, which is computed only if it is not known.
    pub(super) fn of(&mut self, pictures: String, data: Dataset) -> Dataset {
        if let Some(known) = self.known.iter().find(|known| known.pictures == pictures) {
            return data.with_fingerprint(known.fingerprint.clone());
        }
        let fingerprint = data.fingerprint().to_owned();
        self.known.push_front(KnownFingerprint {
            pictures,
            fingerprint,
        });
        self.known.truncate(MOST);
        self.has_changed = true;
        data
    }

    /// Writes those that are new. If the disk refuses, they are computed again next time.
    pub(super) fn keep(&self) {
        if self.has_changed {
            let _ = disk::replace(&self.path, self.text().as_bytes());
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for known in &self.known {
            let _ = writeln!(text, "{} {}", known.pictures, known.fingerprint);
        }
        let crc = checksum(&text);
        text + &crc + "\n"
    }
}

fn checksum(lines: &str) -> String {
    format!("{:08x}", crc32c::crc32c(lines.as_bytes()))
}
