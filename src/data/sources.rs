//! The places where a published data set is looked for.

use std::env;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::download::Mirrors;
use super::mnist::{MnistFile, Published};

/// The argument that names the folder of the data.
pub(super) const ARGUMENT: &str = "--data-dir";
/// The environment variable that names the folder of the data.
const VARIABLE: &str = "CNN_GPU_DATA_DIR";

/// The places where a published data set is looked for, in the order of the fields.
#[derive(Clone, Debug)]
pub struct Sources {
    /// Which data set.
    pub which: Published,
    /// The folder given as argument.
    pub argument: Option<PathBuf>,
    /// The folder given by `CNN_GPU_DATA_DIR`.
    pub variable: Option<PathBuf>,
    /// The folder where downloads are kept; without one, nothing is downloaded.
    pub cache: Option<PathBuf>,
    /// Where to download from.
    pub mirrors: Mirrors,
    /// What the four files are: training images and labels, test images and labels.
    pub files: [MnistFile; 4],
    /// Height, width and channels that the pictures of a folder get; without it, those of the first.
    pub image_shape: Option<[usize; 3]>,
}

impl Sources {
    /// MNIST's: the folder given as argument, and what the environment names.
    pub fn from_env(data_dir: Option<&Path>) -> Self {
        Self::of(Published::Mnist, data_dir)
    }

    /// As [`Sources::from_env`], for any published data set.
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
            image_shape: None,
        }
    }

    /// The folders the user named, each with what named it.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let argument = self.argument.as_deref().map(|folder| (ARGUMENT, folder));
        let variable = self.variable.as_deref().map(|folder| (VARIABLE, folder));
        argument.into_iter().chain(variable)
    }
}

/// `cnn-gpu/NAME` in the user's cache folder, if the user has a home.
fn cache_folder(name: &str) -> Option<PathBuf> {
    let strategy = etcetera::base_strategy::choose_native_strategy().ok()?;
    Some(strategy.cache_dir().join("cnn-gpu").join(name))
}
