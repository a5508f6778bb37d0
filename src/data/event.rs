//! What happens while a data set is looked for.

use std::fmt;
use std::path::PathBuf;

/// Something that happened while a data set was looked for. Displayed, it is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A folder or a file was passed over.
    Rejected {
        /// What was wrong with it.
        reason: String,
    },
    /// Pictures were passed over that may have been meant. Tell the user.
    PassedOver {
        /// How many, and why.
        reason: String,
    },
    /// Something that is likely a mistake. Tell the user.
    Warning {
        /// What it is.
        text: String,
    },
    /// Something worth knowing about what was found.
    Note {
        /// What it is.
        text: String,
    },
    /// A download begins.
    Downloading {
        /// The address.
        url: String,
        /// The file it will become.
        file: PathBuf,
    },
    /// Part of a download arrived.
    Progress {
        /// The file it will become.
        file: PathBuf,
        /// Bytes received until now.
        received: u64,
        /// Bytes there will be, if the server says.
        total: Option<u64>,
    },
    /// A download is complete, checked and kept.
    Downloaded {
        /// The file.
        file: PathBuf,
    },
    /// A mirror did not give a file.
    MirrorFailed {
        /// The address.
        url: String,
        /// What was wrong.
        reason: String,
    },
    /// MNIST cannot be had: the built-in digits are used. Tell the user, and record it.
    FellBack {
        /// Everything that was tried, and what to do.
        reason: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected { reason } | Self::PassedOver { reason } => {
                write!(f, "passed over: {reason}")
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
