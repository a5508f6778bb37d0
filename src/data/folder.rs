//! Folders of pictures, one sub-folder per class: in memory, or read batch by batch while training.
//!
//! The classes are the sub-folders' names in alphabetical order, as Keras's
//! `image_dataset_from_directory` has them; the files in them whose names end in one of
//! [`EXTENSIONS`](super::picture::EXTENSIONS) are the pictures, and other files are passed over. A folder with the sub-folders `train` and `test` (or else `validation`, or
//! `val`) holds both sets; in another one every fifth picture of each class, in the order of
//! their names, is kept apart for testing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::generator::{Batch, Generator};
use super::picture::{self, Picture};
use super::{DataError, Dataset, Splits};
use crate::memory;
use crate::rng::{Key, Stream};
use crate::shape::dims;

/// The names of a folder of pictures for testing.
const TEST_NAMES: [&str; 3] = ["test", "validation", "val"];
/// One picture in so many is kept for testing.
const TEST_SHARE: usize = 5;
/// Labels are bytes.
const MOST_CLASSES: usize = 256;

/// The pictures of a folder, found but not read.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    path: PathBuf,
    shape: [usize; 3],
    classes: Vec<String>,
    /// Each picture with its class.
    files: Vec<(PathBuf, u8)>,
}

/// The pictures to train on and to test on, found but not read. Without a `shape` (height, width and
/// channels) they get the first picture's size, in colour.
///
/// # Errors
/// [`DataError`] if there are no pictures where they should be, or no two classes.
pub fn find(
    path: &Path,
    shape: Option<[usize; 3]>,
) -> Result<(ImageFolder, ImageFolder), DataError> {
    let (train_path, test_paths) = parts(path);
    let (train, test) = match test_paths.into_iter().next() {
        Some(test_path) if train_path.is_dir() => {
            let train = ImageFolder::open(&train_path, shape)?;
            // Not every class need be tested.
            let mut test = ImageFolder::scan(&test_path, Some(train.shape), 1)?;
            test.rename(&train.classes)?;
            (train, test)
        }
        _ => ImageFolder::open(path, shape)?.split(),
    };
    if test.is_empty() {
        let problem = format!(
            "no picture is left for testing: expected {TEST_SHARE} pictures or more in a class, or \
             the sub-folders train and test"
        );
        return Err(DataError::contents(path, problem));
    }
    Ok((train, test))
}

/// The folder to train on, whether it is there or not, and those to test on that are there, of which the
/// first is taken.
fn parts(path: &Path) -> (PathBuf, Vec<PathBuf>) {
    let mut test = TEST_NAMES.map(|name| path.join(name)).to_vec();
    test.retain(|path| path.is_dir());
    (path.join("train"), test)
}

/// Folders of pictures to test on that are not used beside `train`, because another is; one line for each.
pub(super) fn unused(path: &Path) -> Vec<String> {
    let (train, test) = parts(path);
    let Some((taken, others)) = test.split_first().filter(|_| train.is_dir()) else {
        return Vec::new();
    };
    let taken = taken.display();
    let line = |other: &PathBuf| format!("{}: tests are made on {taken}", other.display());
    others.iter().map(line).collect()
}

/// Reads the pictures to train on and to test on into memory; see [`find`].
///
/// # Errors
/// As [`find`], and for a picture that cannot be read.
pub fn splits(path: &Path, shape: Option<[usize; 3]>) -> Result<Splits, DataError> {
    let (train, test) = find(path, shape)?;
    Ok(Splits {
        train: train.load()?,
        test: test.load()?,
    })
}

impl ImageFolder {
    /// Finds the pictures of a folder whose sub-folders are the classes.
    ///
    /// # Errors
    /// [`DataError`] if the folder cannot be read, has less than two classes, or a class is empty.
    pub fn open(path: &Path, shape: Option<[usize; 3]>) -> Result<Self, DataError> {
        Self::scan(path, shape, 2)
    }

    /// As [`ImageFolder::open`], with this least number of classes.
    fn scan(path: &Path, shape: Option<[usize; 3]>, least: usize) -> Result<Self, DataError> {
        let folders = entries(path)?.into_iter().filter(|path| path.is_dir());
        let (mut classes, mut files) = (Vec::new(), Vec::new());
        for folder in folders {
            let pictures: Vec<_> = entries(&folder)?
                .into_iter()
                .filter(|path| picture::is_picture(path))
                .collect();
            if pictures.is_empty() {
                let problem = "a class without a picture: expected PNG, JPEG or other files of pictures in it";
                return Err(DataError::contents(&folder, problem));
            }
            let class = classes.len() as u8;
            classes.push(name(&folder));
            files.extend(pictures.into_iter().map(|picture| (picture, class)));
        }
        if !(least..=MOST_CLASSES).contains(&classes.len()) {
            let problem = format!(
                "found {} sub-folders: expected one per class, from {least} to {MOST_CLASSES}, with the \
                 pictures in them",
                classes.len()
            );
            return Err(DataError::contents(path, problem));
        }
        let shape = match shape {
            Some(shape) => shape,
            None => {
                let [width, height] = Picture::read(&files[0].0)?.size();
                [height, width, 3]
            }
        };
        Ok(Self {
            path: path.into(),
            shape,
            classes,
            files,
        })
    }

    /// The names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads all pictures.
    ///
    /// # Errors
    /// Those of the first picture that cannot be read, or more pixels than memory holds.
    pub fn load(&self) -> Result<Dataset, DataError> {
        let all: Vec<u32> = (0..self.len() as u32).collect();
        self.check_memory()?;
        let Batch { images, labels } = self.read(&all)?;
        let source = self.path.display().to_string();
        Dataset::new(
            "folder",
            source,
            self.shape,
            self.classes.len(),
            images,
            labels,
        )
        .map(|data| data.with_class_names(self.classes.clone()))
    }

    /// Whether all pictures fit into what memory is left.
    fn check_memory(&self) -> Result<(), DataError> {
        let sides = self.shape.iter().map(|&side| side as u64);
        let bytes = sides.fold(self.len() as u64, u64::saturating_mul);
        match memory::available() {
            Some(left) if bytes > left => {
                let problem = format!(
                    "{} pictures of {} would take {}, and the machine has {} left: expected fewer, or a smaller \
                     model input; in Rust, `ImageFolder::stream` reads them batch by batch",
                    self.len(),
                    dims(&self.shape),
                    memory::in_words(bytes),
                    memory::in_words(left)
                );
                Err(DataError::contents(&self.path, problem))
            }
            _ => Ok(()),
        }
    }

    /// Reads the pictures batch by batch while the device works, for folders larger than memory:
    /// every picture once in a pass, in an order that `seed` and the pass decide.
    ///
    /// # Errors
    /// [`DataError::Contents`] if a batch would be empty.
    pub fn stream(self, batch_size: usize, seed: u64) -> Result<FolderStream, DataError> {
        if batch_size == 0 {
            let problem = "a batch must hold at least 1 picture, received 0";
            return Err(DataError::contents(&self.path, problem));
        }
        Ok(FolderStream {
            folder: self,
            batch_size,
            seed,
            order: Mutex::new(None),
        })
    }

    fn read(&self, indices: &[u32]) -> Result<Batch, DataError> {
        let size: usize = self.shape.iter().product();
        let bytes = size.checked_mul(indices.len());
        let mut images = Vec::new();
        if bytes.is_none_or(|bytes| images.try_reserve_exact(bytes).is_err()) {
            let problem = format!(
                "{} pictures of {} do not fit into memory: expected fewer, or a smaller model input",
                indices.len(),
                dims(&self.shape)
            );
            return Err(DataError::contents(&self.path, problem));
        }
        images.resize(size * indices.len(), 0);
        let (pixels, files) = (images.par_chunks_exact_mut(size), indices.par_iter());
        let outcomes: Vec<Result<(), DataError>> = pixels
            .zip(files)
            .map(|(pixels, &i)| {
                let resized = Picture::read(&self.files[i as usize].0)?.resized(self.shape)?;
                pixels.copy_from_slice(&resized);
                Ok(())
            })
            .collect();
        // The first in order, whichever thread was the first to fail.
        outcomes.into_iter().collect::<Result<(), _>>()?;
        let labels = indices.iter().map(|&i| self.files[i as usize].1).collect();
        Ok(Batch { images, labels })
    }

    /// Every fifth picture of each class apart.
    fn split(self) -> (Self, Self) {
        let mut seen = vec![0_usize; self.classes.len()];
        let (test, train) = self.files.iter().cloned().partition(|(_, class)| {
            let seen = &mut seen[usize::from(*class)];
            *seen += 1;
            seen.is_multiple_of(TEST_SHARE)
        });
        let with = |files| Self {
            files,
            ..self.clone()
        };
        (with(train), with(test))
    }

    /// Labels as another folder's classes have them.
    fn rename(&mut self, classes: &[String]) -> Result<(), DataError> {
        let mut labels = Vec::new();
        for class in &self.classes {
            let Some(label) = classes.iter().position(|known| known == class) else {
                let problem =
                    "a class that is not among those to train on: expected the same names";
                return Err(DataError::contents(&self.path.join(class), problem));
            };
            labels.push(label as u8);
        }
        for (_, label) in &mut self.files {
            *label = labels[usize::from(*label)];
        }
        self.classes = classes.to_vec();
        Ok(())
    }
}

/// An [`ImageFolder`] read batch by batch; see [`ImageFolder::stream`].
pub struct FolderStream {
    folder: ImageFolder,
    batch_size: usize,
    seed: u64,
    /// The order of the pass that was asked for last.
    order: Mutex<Option<(u64, Arc<Vec<u32>>)>>,
}

impl FolderStream {
    fn order(&self, pass: u64) -> Arc<Vec<u32>> {
        let mut last = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, order)) if *of == pass => Arc::clone(order),
            _ => {
                // As in `fit`, where epochs are counted from 1.
                let key = Key::new(self.seed).stream(Stream::Shuffle, (pass + 1) as u32);
                let order = Arc::new(key.permutation(self.folder.len()));
                *last = Some((pass, Arc::clone(&order)));
                order
            }
        }
    }
}

impl Generator for FolderStream {
    fn name(&self) -> String {
        "folder".into()
    }

    fn shape(&self) -> [usize; 3] {
        self.folder.shape
    }

    fn class_names(&self) -> Vec<String> {
        self.folder.classes.clone()
    }

    fn steps(&self) -> Option<usize> {
        Some(self.folder.len().div_ceil(self.batch_size))
    }

    fn batch(&self, number: u64) -> crate::Result<Option<Batch>> {
        let steps = self.folder.len().div_ceil(self.batch_size) as u64;
        let order = self.order(number / steps);
        let first = (number % steps) as usize * self.batch_size;
        let last = (first + self.batch_size).min(order.len());
        Ok(Some(self.folder.read(&order[first..last])?))
    }
}

/// What lies in a folder and is not hidden, by name.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
