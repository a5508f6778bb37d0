//! Errors of the data; each message says what was wrong, what was expected and what to do.
//!
//! A message includes the text of its [`source`](std::error::Error::source), so print either the
//! message or the chain, not both.

use std::io;
use std::path::{Path, PathBuf};

use super::idx::IdxError;
use crate::words::one_line;

/// An error of the operating system, of a decoder or of another library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a data set could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No data set has this name.
    #[error(
        "unknown data set {given:?}: expected auto, mnist, fashion-mnist, kmnist, digits, \
         folder:PATH, idx:PATH, cifar10:PATH or npz:PATH"
    )]
    UnknownDataset {
        /// The name received.
        given: String,
    },

    /// A folder named by the user is unusable.
    #[error("{given_by}: {source}")]
    GivenFolder {
        /// The argument or environment variable that named the folder.
        given_by: &'static str,
        /// What is wrong with the folder.
        source: Box<DataError>,
    },

    /// A folder lacks one of a published data set's files.
    #[error(
        "{folder} lacks {file} (or {file}.gz): expected the data set's four files there; \
         put them there, or name the folder that holds them",
        folder = folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The name of the file, unpacked.
        file: String,
    },

    /// A file cannot be read.
    #[error(
        "cannot read {path}: {source}; expected a readable file; check the path and its permissions",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// A file or folder cannot be written.
    #[error(
        "cannot write {path}: {source}; expected free space and permission to store downloads there",
        path = path.display()
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// A file is not valid gzip.
    #[error(
        "{path} cannot be unpacked: {source}; expected a complete gzip file; download it again",
        path = path.display()
    )]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: io::Error,
    },

    /// A file is longer than it should be.
    #[error(
        "{path} is too long: expected {expected} bytes when unpacked; download it again",
        path = path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The number of bytes it should hold.
        expected: u64,
    },

    /// A file's contents are not those published.
    #[error(
        "{path} is not the published file: expected {expected_bytes} bytes with SHA-256 {expected}, \
         found {found_bytes} with {found} (both unpacked); download it again",
        path = path.display()
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The published hash, in hexadecimal.
        expected: String,
        /// The published size.
        expected_bytes: u64,
        /// The hash found.
        found: String,
        /// The size found.
        found_bytes: u64,
    },

    /// A packed file is not the one published.
    #[error(
        "{path} is not the published file: expected the original {file}.gz with SHA-256 {expected}, \
         found {found}; download it again",
        path = path.display()
    )]
    PackedHash {
        /// The file.
        path: PathBuf,
        /// The name of the file, unpacked.
        file: String,
        /// The published hash, in hexadecimal.
        expected: String,
        /// The hash found.
        found: String,
    },

    /// A file's or folder's contents are invalid.
    #[error("{path}: {problem}", path = path.display())]
    Contents {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, what was expected, and what to do; includes the text of `source`.
        problem: String,
        /// The error of the operating system or of a decoder, if there is one.
        source: Option<Cause>,
    },

    /// Some pictures in a folder cannot be read.
    #[error(
        "{count} of {all} pictures in {folder} cannot be read: {details}; fix, remove or skip them",
        folder = folder.display(),
        details = details.join("; ")
    )]
    Pictures {
        /// The folder.
        folder: PathBuf,
        /// The number of its pictures.
        all: usize,
        /// The number that cannot be read.
        count: usize,
        /// The errors of the first ten.
        details: Vec<String>,
        /// The first error.
        source: Option<Box<DataError>>,
    },

    /// A model's input has a number of channels that pictures do not have.
    #[error(
        "pictures cannot be read with {channels} channels: expected a model whose input has 1 (grey) \
         or 3 (red, green and blue) channels"
    )]
    Channels {
        /// The number of channels.
        channels: usize,
    },

    /// A file is not in IDX format.
    #[error("{path} is not a valid IDX file: {source}; download it again", path = path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdxError,
    },

    /// An IDX file holds an array of the wrong shape.
    #[error(
        "{path} holds an array of shape {found:?}: expected {expected:?}; use the right file",
        path = path.display()
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The expected shape.
        expected: Vec<usize>,
        /// The actual shape.
        found: Vec<usize>,
    },

    /// A label is not a class.
    #[error(
        "{origin}: label {index} is {label}: expected a number below {classes}; \
         use a data set whose labels fit its classes"
    )]
    LabelRange {
        /// The labels' file or source.
        origin: String,
        /// The position of the label.
        index: usize,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },

    /// The images have no pixels.
    #[error(
        "{origin}: images of shape {shape:?} have no pixels: expected height, width and channels of \
         at least 1"
    )]
    EmptyShape {
        /// The data's source.
        origin: String,
        /// Height, width and channels.
        shape: [usize; 3],
    },

    /// The number of pixels does not match the number of labels.
    #[error(
        "{origin}: found {found} bytes of pixels: expected {samples} images (one per label) of \
         shape {shape:?}"
    )]
    ImageBytes {
        /// The data's source.
        origin: String,
        /// Height, width and channels.
        shape: [usize; 3],
        /// The number of labels.
        samples: usize,
        /// The number of bytes.
        found: usize,
    },

    /// Floats of pixels that are not those of the images.
    #[error(
        "{origin}: expected {} floats of pixels, {samples} images of shape {shape:?}, one for each label, found {found}",
        shape.iter().fold(*samples, |product, size| product.saturating_mul(*size))
    )]
    ImageFloats {
        /// The data's source.
        origin: String,
        /// Height, width and channels.
        shape: [usize; 3],
        /// The number of labels.
        samples: usize,
        /// The number of floats.
        found: usize,
    },

    /// A float of an image that is NaN or infinite.
    #[error(
        "{origin}: image {image} holds {value}: expected finite numbers; repair or leave out such images"
    )]
    NotFinite {
        /// The data's source.
        origin: String,
        /// The number.
        value: f32,
        /// The position of the image.
        image: usize,
    },

    /// A published data set was not found anywhere.
    #[error(
        "{title} was not found, tried {places}; put {files} (unpacked or .gz) into {folder}, or name \
         their folder by argument or in CNN_GPU_DATA_DIR, or use the built-in digits",
        places = [&tried[..], mirrors].concat().join("; "),
        files = files.join(", ")
    )]
    Unavailable {
        /// The name of the data set.
        title: &'static str,
        /// Every place tried on this machine, with its error.
        tried: Vec<String>,
        /// Every address tried, with its error.
        mirrors: Vec<String>,
        /// The files needed.
        files: Vec<String>,
        /// Where to put them.
        folder: Box<str>,
        /// The first error, if a place that was tried had one.
        source: Option<Cause>,
    },
}

impl DataError {
    /// A shorter message for a caller that continues without the data set or without the pictures.
    pub(super) fn in_short(&self) -> String {
        let (tried, mirrors, folder) = match self {
            Self::Unavailable {
                tried,
                mirrors,
                folder,
                ..
            } => (tried, mirrors, folder),
            Self::Pictures {
                folder,
                all,
                count,
                details,
                ..
            } => {
                return format!(
                    "{count} of {all} pictures in {} cannot be read: {}",
                    folder.display(),
                    details.join("; ")
                );
            }
            _ => return self.to_string(),
        };
        let mut places = tried.join("; ");
        if let Some(last) = mirrors.last() {
            let others = match mirrors.len() {
                1 => String::new(),
                n => format!(", and {} more", n - 1),
            };
            places += &format!("; {last}{others}");
        }
        format!(
            "it was not found, tried {places}; put its four files into {folder}, or name their folder"
        )
    }

    /// An error about some of a folder's pictures, of which there are `all`.
    #[cfg(feature = "pictures")]
    pub(crate) fn pictures(folder: &Path, all: usize, mut errors: Vec<Self>) -> Self {
        const MOST: usize = 10;
        let count = errors.len();
        errors.sort_by_cached_key(Self::to_string);
        let mut details: Vec<String> = errors.iter().map(Self::to_string).collect();
        if count > MOST {
            details.truncate(MOST);
            details.push(format!("and {} more", count - MOST));
        }
        Self::Pictures {
            folder: folder.into(),
            all,
            count,
            details,
            source: errors.into_iter().next().map(Box::new),
        }
    }

    /// An error about the contents of a file or a folder.
    pub(super) fn contents(path: &Path, problem: impl Into<String>) -> Self {
        Self::Contents {
            path: path.into(),
            problem: one_line(&problem.into()),
            source: None,
        }
    }

    /// Sets the source of a [`DataError::Contents`]. The message should already include its text.
    pub(super) fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::Contents { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }
}
