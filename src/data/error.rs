//! What can go wrong with data: each message says what was wrong, what was expected, what to do.
//!
//! A message tells its cause as well. So that a chain of errors does not print it once more, it is
//! written `source`: an ordinary field to thiserror, and none for `source()`.

use std::io;
use std::path::{Path, PathBuf};

use super::idx::IdxError;
use crate::words::one_line;

/// An error of the operating system, of a decoder or of another library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a data set could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// No data set of this name.
    #[error(
        "unknown data set {given:?}: expected auto, mnist, fashion-mnist, kmnist, digits, \
         folder:PATH, idx:PATH, cifar10:PATH or npz:PATH"
    )]
    UnknownDataset {
        /// What was given.
        given: String,
    },

    /// A folder named by the user cannot be used.
    #[error("{given_by}: {source}")]
    GivenFolder {
        /// The argument or environment variable that named the folder.
        given_by: &'static str,
        /// What is wrong with it.
        source: Box<DataError>,
    },

    /// A folder lacks one of a published data set's files.
    #[error(
        "{folder} lacks {file} (or {file}.gz): expected the data set's four files there; \
         put them there or name the folder that holds them",
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
        "cannot read {path}: {source}; expected a readable file, check the path and its permissions",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// A file or folder cannot be written.
    #[error(
        "cannot write {path}: {source}; expected room and permission to keep downloads there",
        path = path.display()
    )]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// A file is not what gzip makes.
    #[error(
        "{path} cannot be unpacked: {source}; expected a whole gzip file, get it again",
        path = path.display()
    )]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decoder's error.
        source: io::Error,
    },

    /// A file holds more than it should.
    #[error(
        "{path} is too long: expected {expected} bytes when unpacked; get it again",
        path = path.display()
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The number of bytes it should hold.
        expected: u64,
    },

    /// A file's contents are not the published ones.
    #[error(
        "{path} is not the published file: expected {expected_bytes} bytes with SHA-256 {expected}, \
         found {found_bytes} with {found} (both unpacked); get it again",
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

    /// A packed file is not the published one.
    #[error(
        "{path} is not the published file: expected {file}.gz, as it is downloaded, with SHA-256 \
         {expected}, found {found}; get it again",
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

    /// A file's contents are not what they should be.
    #[error("{path}: {problem}", path = path.display())]
    Contents {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, what was expected, and what to do; includes the text of `source`.
        problem: String,
        /// The error of the operating system or of a decoder, if there is one.
        source: Option<Cause>,
    },

    /// Pictures of a folder cannot be read.
    #[error(
        "{count} of {all} pictures in {folder} cannot be read: {details}; mend them, take them out, or \
         pass over them",
        folder = folder.display(),
        details = details.join("; ")
    )]
    Pictures {
        /// The folder.
        folder: PathBuf,
        /// How many pictures it has.
        all: usize,
        /// How many cannot be read.
        count: usize,
        /// What is wrong with the first ten.
        details: Vec<String>,
    },

    /// A model takes images of a number of channels that pictures do not have.
    #[error(
        "pictures cannot be read with {channels} channels: expected a model whose input has 1 (grey) \
         or 3 (red, green and blue)"
    )]
    Channels {
        /// The number of channels.
        channels: usize,
    },

    /// A file is not in IDX format.
    #[error("{path} is not a good IDX file: {source}; get it again", path = path.display())]
    Idx {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: IdxError,
    },

    /// An IDX file holds an array of another shape.
    #[error(
        "{path} holds an array of shape {found:?}: expected {expected:?}; get the right file",
        path = path.display()
    )]
    Dimensions {
        /// The file.
        path: PathBuf,
        /// The shape it should have.
        expected: Vec<usize>,
        /// The shape it has.
        found: Vec<usize>,
    },

    /// A label names no class.
    #[error(
        "{origin}: label {index} is {label}: expected a number below {classes}; \
         use a data set whose labels fit its classes"
    )]
    LabelRange {
        /// The file or source of the labels.
        origin: String,
        /// The position of the label.
        index: usize,
        /// The label.
        label: u8,
        /// The number of classes.
        classes: usize,
    },

    /// Images of no pixels.
    #[error(
        "{origin}: images of shape {shape:?} hold no pixel: expected height, width and channels of \
         at least 1"
    )]
    EmptyShape {
        /// The source of the data.
        origin: String,
        /// Height, width and channels.
        shape: [usize; 3],
    },

    /// The pixels do not match the labels in number.
    #[error(
        "{origin}: found {found} bytes of pixels: expected {samples} images (one per label) of \
         shape {shape:?}"
    )]
    ImageBytes {
        /// The source of the data.
        origin: String,
        /// Height, width and channels.
        shape: [usize; 3],
        /// The number of labels.
        samples: usize,
        /// The number of bytes.
        found: usize,
    },

    /// A published data set was found nowhere.
    #[error(
        "{title} was found nowhere, tried {places}; put {files} (unpacked or .gz) into {folder}, or \
         name the folder that holds them, by argument or in CNN_GPU_DATA_DIR, or use the built-in digits",
        places = [&tried[..], mirrors].concat().join("; "),
        files = files.join(", ")
    )]
    Unavailable {
        /// What the data set is called.
        title: &'static str,
        /// Every place tried on this machine, with what was wrong there.
        tried: Vec<String>,
        /// Every address tried, with what was wrong there.
        mirrors: Vec<String>,
        /// The files that are needed.
        files: Vec<String>,
        /// Where they would be found.
        folder: String,
    },
}

impl DataError {
    /// The message for somebody who goes on without the data set: where it was looked for and where it
    /// can be put.
    pub(super) fn in_short(&self) -> String {
        let Self::Unavailable {
            tried,
            mirrors,
            folder,
            ..
        } = self
        else {
            return self.to_string();
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
            "it was found nowhere, tried {places}; put its four files into {folder}, or name the \
             folder that holds them"
        )
    }

    /// An error about one or more of a folder's pictures, `all` in number.
    #[cfg(feature = "pictures")]
    pub(super) fn pictures(folder: &Path, all: usize, errors: Vec<Self>) -> Self {
        const MOST: usize = 10;
        let count = errors.len();
        let mut details: Vec<String> = errors.iter().map(Self::to_string).collect();
        details.sort();
        if count > MOST {
            details.truncate(MOST);
            details.push(format!("and {} more", count - MOST));
        }
        Self::Pictures {
            folder: folder.into(),
            all,
            count,
            details,
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

    /// The same error with its cause, which the message should already name. Only
    /// [`DataError::Contents`] keeps one.
    pub(super) fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        if let Self::Contents { source, .. } = &mut self {
            *source = Some(cause.into());
        }
        self
    }
}
