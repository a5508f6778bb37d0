//! Where to look for a published data set, and the mirrors to download it from.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::disk::cache_folder;

use super::published::{MnistFile, Published};
use super::read_options::ReadOptions;

/// The name of the argument's folder in messages.
pub(super) const ARGUMENT: &str = "the given folder";
/// The environment variable that names the data folder.
const VARIABLE: &str = "CNN_GPU_DATA_DIR";
/// The environment variable that overrides the mirrors.
const MIRRORS: &str = "CNN_GPU_MIRRORS";

/// Where to look for a published data set, in the order of the fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sources {
    /// Which data set.
    pub which: Published,
    /// The folder given as an argument.
    pub argument: Option<PathBuf>,
    /// The folder given by `CNN_GPU_DATA_DIR`.
    pub variable: Option<PathBuf>,
    /// The folder to store downloads in. `None` turns downloads off.
    pub cache: Option<PathBuf>,
    /// Where to download from.
    pub mirrors: Mirrors,
    /// The four files: training images and labels, test images and labels.
    pub files: [MnistFile; 4],
    /// How to read pictures, and how many training samples to use.
    pub read: ReadOptions,
}

impl Sources {
    /// The sources of MNIST: `data_dir`, and the places that the environment names.
    pub fn from_env(data_dir: Option<&Path>) -> Self {
        Self::of(Published::Mnist, data_dir)
    }

    /// Like [`Sources::from_env`], for any published data set.
    pub fn of(which: Published, data_dir: Option<&Path>) -> Self {
        Self {
            which,
            argument: data_dir.map(Path::to_path_buf),
            variable: env::var_os(VARIABLE)
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
            cache: cache_folder(which.name()),
            mirrors: Mirrors::from_env(which),
            files: which.files(),
            read: ReadOptions::default(),
        }
    }

    /// The folders that the user named, each with the name of its argument or variable.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let argument = self.argument.as_deref().map(|folder| (ARGUMENT, folder));
        let variable = self.variable.as_deref().map(|folder| (VARIABLE, folder));
        argument.into_iter().chain(variable)
    }
}

/// Where to download from, and the time-outs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mirrors {
    /// Base addresses, tried in order; `NAME.gz` is appended to each.
    pub urls: Vec<String>,
    /// The longest wait for a name lookup.
    pub resolve_timeout: Duration,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest silence of a server.
    pub idle_timeout: Duration,
    /// The longest time for one file, however steadily it arrives.
    pub file_timeout: Duration,
    /// Whether to use the proxy that the environment names (`HTTPS_PROXY` and the like).
    pub use_proxy: bool,
}

impl Default for Mirrors {
    fn default() -> Self {
        Self {
            urls: Published::Mnist.mirrors(),
            resolve_timeout: Duration::from_secs(3),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(10),
            file_timeout: Duration::from_secs(30 * 60),
            use_proxy: true,
        }
    }
}

impl Mirrors {
    /// The mirrors in `CNN_GPU_MIRRORS` (base addresses separated by spaces), or the data set's
    /// known mirrors if it is unset.
    pub fn from_env(which: Published) -> Self {
        let mirrors = Self {
            urls: which.mirrors(),
            ..Self::default()
        };
        match env::var(MIRRORS) {
            Ok(text) => Self {
                urls: text.split_whitespace().map(String::from).collect(),
                ..mirrors
            },
            Err(_) => mirrors,
        }
    }
}
