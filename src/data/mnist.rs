//! MNIST: its four files found, checked and put together.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::dataset::check_labels;
use super::download::Downloader;
use super::{DataError, Dataset, Event, Sources, Splits, idx, sha256};

const SIDE: usize = 28;
const CLASSES: usize = 10;

/// What a file of MNIST holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images of 28x28 pixels.
    Images,
    /// Labels from 0 to 9.
    Labels,
}

/// What one of MNIST's files must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MnistFile {
    /// Its name, unpacked.
    pub name: String,
    /// What it holds.
    pub content: Content,
    /// How many images or labels.
    pub samples: usize,
    /// The SHA-256 of its unpacked bytes in hexadecimal.
    pub sha256: String,
}

impl MnistFile {
    /// The shape of the array in it.
    fn dims(&self) -> Vec<usize> {
        match self.content {
            Content::Images => vec![self.samples, SIDE, SIDE],
            Content::Labels => vec![self.samples],
        }
    }

    /// The size of the unpacked file.
    pub(super) fn bytes(&self) -> u64 {
        let dims = self.dims();
        let header = 4 + 4 * dims.len() as u64;
        dims.iter()
            .fold(1, |product: u64, &dim| product.saturating_mul(dim as u64))
            .saturating_add(header)
    }

    /// The names under which the file is accepted: both common spellings, unpacked or packed.
    fn spellings(&self) -> [String; 4] {
        let other = self.name.replacen("-idx", ".idx", 1);
        [
            self.name.clone(),
            format!("{}.gz", self.name),
            other.clone(),
            format!("{other}.gz"),
        ]
    }

    /// The files in a folder that bear one of its names.
    fn candidates(&self, folder: &Path) -> impl Iterator<Item = PathBuf> {
        self.spellings()
            .map(|name| folder.join(name))
            .into_iter()
            .filter(|path| path.exists())
    }

    /// The error of a folder without the file.
    fn missing_from(&self, folder: &Path) -> DataError {
        DataError::Missing {
            folder: folder.into(),
            file: self.name.clone(),
        }
    }

    /// Reads the file from a folder: the first good one of its names, else what is wrong with the first.
    fn read_in(&self, folder: &Path) -> Result<Vec<u8>, DataError> {
        let mut first_error = None;
        for path in self.candidates(folder) {
            match self.read(&path) {
                Ok(elements) => return Ok(elements),
                Err(error) => first_error.get_or_insert(error),
            };
        }
        Err(first_error.unwrap_or_else(|| self.missing_from(folder)))
    }

    /// Reads and checks the file: the elements of its array.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        let bytes = unpack(path, self.bytes())?;
        self.check(path, &bytes)
    }

    fn check(&self, path: &Path, bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        let found = sha256::of(bytes);
        if !found.eq_ignore_ascii_case(&self.sha256) {
            return Err(DataError::Hash {
                path: path.into(),
                expected: self.sha256.clone(),
                expected_bytes: self.bytes(),
                found,
                found_bytes: bytes.len() as u64,
            });
        }
        let array = idx::parse(bytes).map_err(|source| DataError::Idx {
            path: path.into(),
            source,
        })?;
        if array.dims() != self.dims() {
            return Err(DataError::Dimensions {
                path: path.into(),
                expected: self.dims(),
                found: array.dims().into(),
            });
        }
        if self.content == Content::Labels {
            check_labels(&path.display().to_string(), CLASSES, array.data)?;
        }
        Ok(array.data.to_vec())
    }
}

/// The four files as they were published.
pub fn published() -> [MnistFile; 4] {
    let file = |name: &str, content, samples, sha256: &str| MnistFile {
        name: name.into(),
        content,
        samples,
        sha256: sha256.into(),
    };
    [
        file(
            "train-images-idx3-ubyte",
            Content::Images,
            60_000,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        file(
            "train-labels-idx1-ubyte",
            Content::Labels,
            60_000,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        file(
            "t10k-images-idx3-ubyte",
            Content::Images,
            10_000,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        file(
            "t10k-labels-idx1-ubyte",
            Content::Labels,
            10_000,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ]
}

/// Looks for MNIST in all sources. When `strict`, a folder named by the user must hold it.
pub(super) fn find(
    sources: &Sources,
    strict: bool,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let mut tried = Vec::new();
    for (given_by, folder) in sources.given() {
        match read_folder(&sources.files, folder) {
            Ok(splits) => return Ok(splits),
            Err(source) => {
                let source = Box::new(source);
                let error = DataError::GivenFolder { given_by, source };
                if strict {
                    return Err(error);
                }
                let reason = error.to_string();
                on_event(&Event::Rejected {
                    reason: reason.clone(),
                });
                tried.push(reason);
            }
        }
    }
    cached_or_downloaded(sources, tried, on_event)
}

/// Reads all four files from a folder.
fn read_folder(files: &[MnistFile; 4], folder: &Path) -> Result<Splits, DataError> {
    // All are looked for before the first is read, which takes longer.
    for file in files {
        if file.candidates(folder).next().is_none() {
            return Err(file.missing_from(folder));
        }
    }
    let mut parts = [const { Vec::new() }; 4];
    for (part, file) in parts.iter_mut().zip(files) {
        *part = file.read_in(folder)?;
    }
    assemble(parts, &folder.display().to_string())
}

/// Reads each file from the cache folder, or downloads it there.
fn cached_or_downloaded(
    sources: &Sources,
    mut tried: Vec<String>,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let Some(cache) = &sources.cache else {
        tried.push("downloading: there is no cache folder, as the home folder is unknown".into());
        return Err(unavailable(sources, tried));
    };
    let mut downloader = Downloader::new(&sources.mirrors);
    let mut origin = cache.display().to_string();
    let mut parts = [const { Vec::new() }; 4];
    for (part, file) in parts.iter_mut().zip(&sources.files) {
        if let Some(elements) = cached(file, cache, on_event) {
            *part = elements;
        } else if let Some(download) = downloader.fetch(file, cache, on_event)? {
            *part = download.elements;
            origin = download.mirror;
        } else {
            tried.push(format!("{} without {}", cache.display(), file.name));
            tried.extend(downloader.into_failures());
            return Err(unavailable(sources, tried));
        }
    }
    assemble(parts, &origin)
}

/// The error when every place was tried.
fn unavailable(sources: &Sources, mut tried: Vec<String>) -> DataError {
    if sources.mirrors.urls.is_empty() {
        tried.push("downloading: there is no mirror, CNN_GPU_MIRRORS is empty".into());
    }
    DataError::Unavailable {
        tried,
        files: sources.files.iter().map(|file| file.name.clone()).collect(),
        folder: match &sources.cache {
            Some(folder) => folder.display().to_string(),
            None => "a folder".into(),
        },
    }
}

/// A file from the cache folder; a bad one is reported and left to be replaced.
fn cached(file: &MnistFile, cache: &Path, on_event: &mut dyn FnMut(&Event)) -> Option<Vec<u8>> {
    match file.read_in(cache) {
        Ok(elements) => Some(elements),
        Err(DataError::Missing { .. }) => None,
        Err(error) => {
            on_event(&Event::Rejected {
                reason: error.to_string(),
            });
            None
        }
    }
}

fn assemble(parts: [Vec<u8>; 4], origin: &str) -> Result<Splits, DataError> {
    let split =
        |images, labels| Dataset::new("mnist", origin, [SIDE, SIDE, 1], CLASSES, images, labels);
    let [train_images, train_labels, test_images, test_labels] = parts;
    Ok(Splits {
        train: split(train_images, train_labels)?,
        test: split(test_images, test_labels)?,
    })
}

/// The bytes of a file, unpacked if it is packed; never much more than `expected` are read.
///
/// What gzip packs begins with 1f 8b, IDX with zeros: the contents tell, not the name, because some
/// servers unpack on the way.
fn unpack(path: &Path, expected: u64) -> Result<Vec<u8>, DataError> {
    let too_long = || DataError::TooLong {
        path: path.into(),
        expected,
    };
    let read = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let bytes = read_bounded(file, packed_limit(expected)).map_err(read)?;
    let bytes = bytes.ok_or_else(too_long)?;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let unpacked = read_bounded(MultiGzDecoder::new(&bytes[..]), expected).map_err(|error| {
        DataError::Gzip {
            path: path.into(),
            reason: error.to_string(),
        }
    })?;
    unpacked.ok_or_else(too_long)
}

/// The most bytes a file of `unpacked` bytes may take when packed: gzip adds a little to noise.
pub(super) fn packed_limit(unpacked: u64) -> u64 {
    unpacked.saturating_add(unpacked / 1000 + 4096)
}

/// Everything a reader gives, or nothing if that is more than `limit` bytes.
fn read_bounded(reader: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let read = reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((read as u64 <= limit).then_some(bytes))
}
