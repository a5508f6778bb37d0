//! What happens while a data set is loaded.

use std::fmt;
use std::path::PathBuf;

/// Something that happened while a data set was loaded. It displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A folder or a file was skipped.
    Rejected {
        /// Why.
        reason: String,
    },
    /// Pictures were skipped that the user may have meant to include. Warn the user.
    Skipped {
        /// How many, and why.
        reason: String,
    },
    /// A likely mistake. Warn the user.
    Warning {
        /// What is wrong.
        text: String,
    },
    /// Something worth knowing about the data.
    Note {
        /// What is worth knowing.
        text: String,
    },
    /// A download started.
    Downloading {
        /// The address.
        url: String,
        /// The destination.
        file: PathBuf,
    },
    /// Part of a download arrived.
    Progress {
        /// The destination.
        file: PathBuf,
        /// Bytes received so far.
        received: u64,
        /// Total bytes, if the server says.
        total: Option<u64>,
    },
    /// A download was checked and stored.
    Downloaded {
        /// The file.
        file: PathBuf,
    },
    /// A mirror did not deliver a file.
    MirrorFailed {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
    /// MNIST is unavailable, and the built-in digits are used. Warn the user, and record it.
    FellBack {
        /// Everything that was tried, and what to do.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { reason } | Self::Skipped { reason } => {
                write!(f, "skipped: {reason}")
            }
            Self::Note { text } | Self::Warning { text } => f.write_str(text),
            Self::Downloading { url, .. } => write!(f, "downloading {url}"),
            Self::Progress {
                file,
                received,
                total,
            } => {
                write!(f, "{}: {received}", file.display())?;
                match total {
                    Some(total) => write!(f, " of {total} bytes"),
                    None => write!(f, " bytes"),
                }
            }
            Self::Downloaded { file } => write!(f, "downloaded {}", file.display()),
            Self::MirrorFailed { url, reason } => write!(f, "{url}: {reason}"),
            Self::FellBack { reason } => {
                write!(f, "USING THE BUILT-IN DIGITS INSTEAD OF MNIST: {reason}")
            }
        }
    }
}
