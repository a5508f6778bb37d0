//! The data sets published in MNIST's format: their names, their files and their checksums.
//!
//! MNIST's files are checked by the SHA-256 of their unpacked bytes, so a re-packed copy is as good
//! as the original. For Fashion-MNIST and KMNIST only checksums of the packed files are known, so
//! these are accepted only as the original `.gz`. The files of all three have the same names; only
//! the checksums tell them apart.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::bounded::{read_bounded, read_preallocated};
use super::dataset::check_labels;
use super::gzip::{self, Unpacked};
use super::{DataError, idx, sha256};

pub(super) const SIDE: usize = 28;
pub(super) const CLASSES: usize = 10;

/// What a file of MNIST holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images of 28x28 pixels.
    Images,
    /// Labels from 0 to 9.
    Labels,
}

/// One of a data set's four files, as it was published.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MnistFile {
    /// The name, unpacked.
    pub name: String,
    /// Whether it holds images or labels.
    pub content: Content,
    /// The number of images or labels.
    pub samples: usize,
    /// The SHA-256 in hexadecimal.
    pub sha256: String,
    /// Which bytes the hash is of.
    pub hashed: Hashed,
}

impl MnistFile {
    /// A file with this hash.
    pub fn new(
        name: impl Into<String>,
        content: Content,
        samples: usize,
        sha256: impl Into<String>,
        hashed: Hashed,
    ) -> Self {
        Self {
            name: name.into(),
            content,
            samples,
            sha256: sha256.into(),
            hashed,
        }
    }
}

/// Whether a hash is of the packed or of the unpacked bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hashed {
    /// The unpacked bytes; the file may be packed in any way.
    Unpacked,
    /// The packed bytes, as downloaded.
    Packed,
}

/// A data set published in MNIST's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Published {
    /// Handwritten digits.
    Mnist,
    /// Ten kinds of clothing (Xiao, Rasul and Vollgraf, 2017).
    FashionMnist,
    /// Ten cursive Japanese characters (Clanuwat and others, 2018).
    Kmnist,
}

impl MnistFile {
    /// The shape of the file's array.
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

    /// The accepted file names: both common spellings, unpacked and packed.
    fn spellings(&self) -> [String; 4] {
        let other = self.name.replacen("-idx", ".idx", 1);
        [
            self.name.clone(),
            format!("{}.gz", self.name),
            other.clone(),
            format!("{other}.gz"),
        ]
    }

    /// The files in a folder with one of these names.
    pub(super) fn candidates(&self, folder: &Path) -> impl Iterator<Item = PathBuf> {
        self.spellings()
            .map(|name| folder.join(name))
            .into_iter()
            .filter(|path| path.exists())
    }

    /// The error for a folder without the file.
    pub(super) fn missing_from(&self, folder: &Path) -> DataError {
        DataError::Missing {
            folder: folder.into(),
            file: self.name.clone(),
        }
    }

    /// Reads the file from a folder: the first valid one of its names, or the first error.
    pub(super) fn read_in(&self, folder: &Path) -> Result<Vec<u8>, DataError> {
        let mut first_error = None;
        for path in self.candidates(folder) {
            match self.read(&path) {
                Ok(elements) => return Ok(elements),
                Err(error) => first_error.get_or_insert(error),
            };
        }
        Err(first_error.unwrap_or_else(|| self.missing_from(folder)))
    }

    /// Reads and checks the file; returns the elements of its array.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, DataError> {
        let bytes = read_packed(path, self.bytes())?;
        if self.hashed == Hashed::Packed {
            self.check_packed(path, &bytes)?;
        }
        let bytes = unpack(path, bytes, self.bytes())?;
        if self.hashed == Hashed::Unpacked {
            self.check_unpacked(path, &bytes)?;
        }
        self.elements(path, bytes)
    }

    fn check_packed(&self, path: &Path, bytes: &[u8]) -> Result<(), DataError> {
        let found = sha256::of(bytes);
        if found.eq_ignore_ascii_case(&self.sha256) {
            return Ok(());
        }
        Err(DataError::PackedHash {
            path: path.into(),
            file: self.name.clone(),
            expected: self.sha256.clone(),
            found,
        })
    }

    fn check_unpacked(&self, path: &Path, bytes: &[u8]) -> Result<(), DataError> {
        let found = sha256::of(bytes);
        if found.eq_ignore_ascii_case(&self.sha256) {
            return Ok(());
        }
        Err(DataError::Hash {
            path: path.into(),
            expected: self.sha256.clone(),
            expected_bytes: self.bytes(),
            found,
            found_bytes: bytes.len() as u64,
        })
    }

    fn elements(&self, path: &Path, mut bytes: Vec<u8>) -> Result<Vec<u8>, DataError> {
        let array = idx::parse(&bytes).map_err(|source| DataError::Idx {
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
        let header = array.header_len();
        // In place: a copy would double the memory.
        bytes.drain(..header);
        Ok(bytes)
    }
}

impl Published {
    /// The name on the command line, and of the data set's folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Kmnist => "kmnist",
        }
    }

    /// The name in prose.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Kmnist => "KMNIST",
        }
    }

    /// The class names; empty for digits, which are named by their numbers.
    pub fn class_names(self) -> Vec<String> {
        let names: &[&str] = match self {
            Self::Mnist => &[],
            Self::FashionMnist => &[
                "T-shirt/top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle boot",
            ],
            Self::Kmnist => &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        };
        names.iter().map(|&name| name.into()).collect()
    }

    /// The original base addresses, and reliable copies.
    pub(super) fn mirrors(self) -> Vec<String> {
        let urls: &[&str] = match self {
            Self::Mnist => &[
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
            ],
            Self::FashionMnist => &[
                "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ],
            Self::Kmnist => &[
                "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
                "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            ],
        };
        urls.iter().map(|&url| url.into()).collect()
    }

    /// Whether a folder has each of the four files, packed or not. Their contents are not checked.
    pub fn is_in(self, folder: &Path) -> bool {
        let files = self.files();
        files
            .iter()
            .all(|file| file.candidates(folder).next().is_some())
    }

    /// Training images and labels, test images and labels, as published.
    pub fn files(self) -> [MnistFile; 4] {
        let (hashed, hashes) = match self {
            Self::Mnist => (
                Hashed::Unpacked,
                [
                    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                ],
            ),
            Self::FashionMnist => (
                Hashed::Packed,
                [
                    "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                    "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                    "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                    "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                ],
            ),
            Self::Kmnist => (
                Hashed::Packed,
                [
                    "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
                    "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
                    "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
                    "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
                ],
            ),
        };
        let file = |name: &str, content, samples, sha256: &str| MnistFile {
            name: name.into(),
            content,
            samples,
            sha256: sha256.into(),
            hashed,
        };
        let [train_images, train_labels, test_images, test_labels] = hashes;
        let (images, labels) = (Content::Images, Content::Labels);
        [
            file("train-images-idx3-ubyte", images, 60_000, train_images),
            file("train-labels-idx1-ubyte", labels, 60_000, train_labels),
            file("t10k-images-idx3-ubyte", images, 10_000, test_images),
            file("t10k-labels-idx1-ubyte", labels, 10_000, test_labels),
        ]
    }
}

/// The bytes of a file as stored on disk; never reads much more than `expected`.
fn read_packed(path: &Path, expected: u64) -> Result<Vec<u8>, DataError> {
    let read = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(read)?;
    let bytes = read_bounded(file, packed_limit(expected)).map_err(read)?;
    bytes.ok_or_else(|| too_long(path, expected))
}

/// Unpacks gzip files to at most `expected` bytes, and returns any other file unchanged.
///
/// The contents decide, not the name, because some servers unpack on the way: gzip files start with
/// 1f 8b, IDX files with zeros.
pub(super) fn unpack(path: &Path, bytes: Vec<u8>, expected: u64) -> Result<Vec<u8>, DataError> {
    if !bytes.starts_with(&gzip::MAGIC) {
        return Ok(bytes);
    }
    let unpacked =
        read_preallocated(Unpacked::new(&bytes), expected).map_err(|source| DataError::Gzip {
            path: path.into(),
            source,
        })?;
    unpacked.ok_or_else(|| too_long(path, expected))
}

fn too_long(path: &Path, expected: u64) -> DataError {
    DataError::TooLong {
        path: path.into(),
        expected,
    }
}

/// The most bytes that a packed file may have. It can be larger than its `unpacked` bytes: gzip
/// grows noise a little, and zeros may follow.
pub(super) fn packed_limit(unpacked: u64) -> u64 {
    unpacked.saturating_add(unpacked / 1000 + (1 << 20))
}
