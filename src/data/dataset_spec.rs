//! Which data set to load.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::error::DataError;
use super::published::Published;

/// Which data set to load, by name or as `KIND:PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DatasetSpec {
    /// `auto`: MNIST if it can be found or downloaded, otherwise the built-in digits.
    #[default]
    Auto,
    /// `mnist`, or an error.
    Mnist,
    /// `fashion-mnist`: ten kinds of clothing in MNIST's format, or an error.
    FashionMnist,
    /// `kmnist`: ten cursive Japanese characters in MNIST's format, or an error.
    Kmnist,
    /// `digits`: the built-in digits.
    Digits,
    /// `folder:PATH`: pictures, one sub-folder per class; see [`folder`](super::folder).
    Folder(PathBuf),
    /// `idx:PATH`: a folder with images and labels in IDX format; see [`idx`](super::idx).
    Idx(PathBuf),
    /// `cifar10:PATH`: the folder of CIFAR-10's binary version; see [`cifar10`](super::cifar10).
    Cifar10(PathBuf),
    /// `npz:PATH`: a file in the format of `keras.datasets`; see [`npz`](super::npz).
    Npz(PathBuf),
}

impl DatasetSpec {
    /// The data sets with a name and no path.
    pub const NAMED: [Self; 5] = [
        Self::Auto,
        Self::Mnist,
        Self::FashionMnist,
        Self::Kmnist,
        Self::Digits,
    ];

    /// The path of one that is read from a path.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Folder(path) | Self::Idx(path) | Self::Cifar10(path) | Self::Npz(path) => {
                Some(path)
            }
            Self::Auto | Self::Mnist | Self::FashionMnist | Self::Kmnist | Self::Digits => None,
        }
    }

    /// The published data set that this names, if any.
    pub fn published(&self) -> Option<Published> {
        match self {
            Self::Auto | Self::Mnist => Some(Published::Mnist),
            Self::FashionMnist => Some(Published::FashionMnist),
            Self::Kmnist => Some(Published::Kmnist),
            Self::Digits | Self::Folder(_) | Self::Idx(_) | Self::Cifar10(_) | Self::Npz(_) => None,
        }
    }
}

impl fmt::Display for DatasetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, path) = match self {
            Self::Auto => return f.write_str("auto"),
            Self::Mnist => return f.write_str("mnist"),
            Self::FashionMnist => return f.write_str("fashion-mnist"),
            Self::Kmnist => return f.write_str("kmnist"),
            Self::Digits => return f.write_str("digits"),
            Self::Folder(path) => ("folder", path),
            Self::Idx(path) => ("idx", path),
            Self::Cifar10(path) => ("cifar10", path),
            Self::Npz(path) => ("npz", path),
        };
        write!(f, "{kind}:{}", path.display())
    }
}

impl FromStr for DatasetSpec {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let unknown = || DataError::UnknownDataset { given: text.into() };
        let Some((kind, path)) = text.split_once(':') else {
            return Self::NAMED
                .into_iter()
                .find(|spec| spec.to_string() == text)
                .ok_or_else(unknown);
        };
        let make = match kind {
            "folder" => Self::Folder,
            "idx" => Self::Idx,
            "cifar10" => Self::Cifar10,
            "npz" => Self::Npz,
            _ => return Err(unknown()),
        };
        match path {
            "" => Err(unknown()),
            path => Ok(make(path.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_displays() {
        let with_path = ["folder:a b", "idx:/x", "cifar10:c:d", "npz:mnist.npz"];
        let with_path = with_path.map(|text| text.parse::<DatasetSpec>().unwrap());
        for spec in DatasetSpec::NAMED.into_iter().chain(with_path) {
            assert_eq!(spec.to_string().parse::<DatasetSpec>().unwrap(), spec);
        }
        let path = PathBuf::from("c:d");
        assert_eq!(
            "cifar10:c:d".parse::<DatasetSpec>().unwrap(),
            DatasetSpec::Cifar10(path)
        );
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for given in ["cifar", "folder:", "zip:x", "mnist:x"] {
            let message = given.parse::<DatasetSpec>().unwrap_err().to_string();
            assert_eq!(
                message,
                format!(
                    "unknown data set {given:?}: expected auto, mnist, fashion-mnist, kmnist, digits, \
                     folder:PATH, idx:PATH, cifar10:PATH or npz:PATH"
                )
            );
        }
    }
}
