//! Finds and reads the pictures of a folder.

use std::mem;
use std::path::{Path, PathBuf};

use bytemuck::allocation::try_zeroed_vec;
use rayon::prelude::*;

use super::scan::Scan;
use super::skipped::Skipped;
use crate::data::dataset::Dataset;
use crate::data::error::DataError;
use crate::data::generator::Batch;
use crate::data::interpolation::Interpolation;
use crate::data::mix;
use crate::data::picture::Picture;
use crate::data::picture_cache::{CachedFolder, FoundPicture, PixelFormat, Remarks};
use crate::memory;
use crate::shape::dims;

/// One picture in this many is held out for testing.
pub(super) const TEST_SHARE: usize = 5;

/// The pictures of a folder, found but not yet read.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    path: PathBuf,
    shape: [usize; 3],
    interpolation: Interpolation,
    classes: Vec<String>,
    /// Each picture with its class.
    files: Vec<(PathBuf, u8)>,
    skipped: Skipped,
}

/// A picture that was read.
enum ReadPicture {
    Decoded(Remarks),
    Cached(FoundPicture),
}

impl ReadPicture {
    fn remarks(&self) -> Remarks {
        match self {
            Self::Decoded(remarks) => *remarks,
            Self::Cached(found) => found.remarks,
        }
    }
}

/// What is worth saying about pictures, in order.
#[derive(Default)]
pub(super) struct Findings {
    /// The indices of those that can be read.
    pub(super) readable: Vec<u32>,
    /// The hashes of the files of those that can be read, if there is a cache.
    pub(super) contents: Vec<[u8; 32]>,
    /// The errors of those that cannot be read.
    pub(super) errors: Vec<DataError>,
    /// Those with a single colour because they are transparent.
    pub(super) blank: Vec<PathBuf>,
    /// The number of those whose light above 1 was clipped.
    pub(super) clipped: usize,
}

impl ImageFolder {
    /// Finds the pictures of a folder whose sub-folders are the classes, class by class in the
    /// order of their paths, at any depth. `shape` is the height, width and channels to resize them
    /// to; the default is the size of the first picture, in colour.
    ///
    /// # Errors
    /// [`DataError`] if the folder cannot be read, has fewer than 2 or more than 256 classes, or a
    /// class is empty.
    pub fn open(path: &Path, shape: Option<[usize; 3]>) -> Result<Self, DataError> {
        Self::new(path, Scan::of(path, 2)?, shape)
    }

    pub(super) fn new(
        path: &Path,
        scan: Scan,
        shape: Option<[usize; 3]>,
    ) -> Result<Self, DataError> {
        let mut folder = Self {
            path: path.into(),
            shape: shape.unwrap_or_default(),
            interpolation: Interpolation::default(),
            classes: scan.classes,
            files: scan.files,
            skipped: scan.skipped,
        };
        if shape.is_none() {
            folder.shape = folder.first_shape()?;
        }
        Ok(folder)
    }

    /// The size of the first readable picture.
    fn first_shape(&self) -> Result<[usize; 3], DataError> {
        let mut errors = Vec::new();
        for (path, _) in &self.files {
            match Picture::read(path) {
                Ok(picture) => {
                    let [width, height] = picture.size();
                    return Ok([height, width, 3]);
                }
                Err(error) => errors.push(error),
            }
        }
        Err(DataError::pictures(&self.path, self.len(), errors))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Height, width and channels that the pictures are resized to.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class names.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The pictures, each with its class.
    pub fn files(&self) -> impl Iterator<Item = (&Path, usize)> {
        (self.files.iter()).map(|(path, class)| (path.as_path(), usize::from(*class)))
    }

    /// What was skipped in the folder.
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The pictures shuffled by `seed`, with the classes evenly interleaved; see [`mix::order`].
    #[must_use]
    pub fn mixed(mut self, seed: u64) -> Self {
        let labels: Vec<u8> = self.files.iter().map(|(_, class)| *class).collect();
        let order = mix::order(&labels, seed).into_iter();
        let files = &mut self.files;
        self.files = order.map(|i| mem::take(&mut files[i as usize])).collect();
        self
    }

    /// The first `n` pictures, or all if there are fewer.
    #[must_use]
    pub fn take(mut self, n: usize) -> Self {
        self.files.truncate(n);
        self
    }

    /// Reads all pictures.
    ///
    /// # Errors
    /// [`DataError::Pictures`] counts the pictures that cannot be read and lists the first ten;
    /// [`DataError::Contents`] if the pixels do not fit into memory.
    pub fn load(&self) -> Result<Dataset, DataError> {
        let (data, Findings { errors, .. }) = self.load_some(None)?;
        if errors.is_empty() {
            Ok(data)
        } else {
            Err(DataError::pictures(&self.path, self.len(), errors))
        }
    }

    /// Reads the pictures that can be read, and returns the errors of the others.
    ///
    /// # Errors
    /// No picture can be read, or the pixels do not fit into memory.
    pub fn load_readable(&self) -> Result<(Dataset, Vec<DataError>), DataError> {
        let (data, Findings { errors, .. }) = self.load_some(None)?;
        if data.is_empty() && !errors.is_empty() {
            Err(DataError::pictures(&self.path, self.len(), errors))
        } else {
            Ok((data, errors))
        }
    }

    pub(super) fn load_some(
        &self,
        mut cache: Option<&mut CachedFolder<'_>>,
    ) -> Result<(Dataset, Findings), DataError> {
        self.check_memory()?;
        let all: Vec<u32> = (0..self.len() as u32).collect();
        let (batch, findings) = self.decode(&all, cache.as_deref_mut())?;
        let Batch { images, labels, .. } = batch;
        let source = self.path.display().to_string();
        let classes = self.classes.len();
        let data = Dataset::new("folder", source, self.shape, classes, images, labels)?
            .with_class_names(self.classes.clone())
            .with_files(findings.readable.iter().map(|&i| self.name(i)).collect());
        let data = match cache {
            Some(cache) => cache.with_fingerprint(data, &findings.contents),
            None => data,
        };
        Ok((data, findings))
    }

    /// The path of a picture below the folder.
    fn name(&self, index: u32) -> String {
        let (path, _) = &self.files[index as usize];
        let below = path.strip_prefix(&self.path).unwrap_or(path);
        below.display().to_string()
    }

    /// The classes that have pictures in this folder, but none in `read`.
    pub(super) fn without(&self, read: &Dataset) -> Vec<&str> {
        let is_lost = |class: &usize| {
            let mut files = self.files.iter();
            let is_of = |label: &u8| usize::from(*label) == *class;
            files.any(|(_, label)| is_of(label)) && !read.labels().iter().any(is_of)
        };
        let classes = (0..self.classes.len()).filter(is_lost);
        classes.map(|class| self.classes[class].as_str()).collect()
    }

    /// Reads every picture once, drops those that cannot be read and returns their errors, so that
    /// a [`stream`](Self::stream) does not fail on them.
    pub fn retain_readable(&mut self) -> Vec<DataError> {
        let outcomes: Vec<_> = (self.files.par_iter())
            .map(|(path, _)| Picture::read(path).err())
            .collect();
        let mut readable = outcomes.iter().map(Option::is_none);
        self.files.retain(|_| readable.next().unwrap_or(true));
        outcomes.into_iter().flatten().collect()
    }

    /// Checks that all pictures fit into the available memory.
    fn check_memory(&self) -> Result<(), DataError> {
        let sides = self.shape.iter().map(|&side| side as u64);
        let bytes = sides.fold(self.len() as u64, u64::saturating_mul);
        match memory::available() {
            Some(left) if bytes > left => {
                let problem = format!(
                    "{} pictures of {} need {}, but only {} of memory is available: use fewer pictures or a smaller \
                     model input, or read them batch by batch with `ImageFolder::stream` in Rust",
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

    pub(super) fn read(&self, indices: &[u32]) -> Result<Batch, DataError> {
        let (batch, Findings { errors, .. }) = self.decode(indices, None)?;
        if errors.is_empty() {
            Ok(batch)
        } else {
            Err(DataError::pictures(&self.path, self.len(), errors))
        }
    }

    /// What the pixels of a picture depend on besides its contents.
    pub(super) fn pixel_format(&self) -> PixelFormat {
        PixelFormat {
            shape: self.shape,
            interpolation: self.interpolation,
        }
    }

    /// The readable pictures, in order, and the findings about all.
    fn decode(
        &self,
        indices: &[u32],
        mut cache: Option<&mut CachedFolder<'_>>,
    ) -> Result<(Batch, Findings), DataError> {
        let [.., channels] = self.shape;
        if ![1, 3].contains(&channels) {
            return Err(DataError::Channels { channels });
        }
        let size: usize = self.shape.iter().product();
        let bytes = size.checked_mul(indices.len());
        // Zeroed by the operating system, page by page, when threads write to them.
        let images = bytes.and_then(|bytes| try_zeroed_vec::<u8>(bytes).ok());
        let Some(mut images) = images else {
            let problem = format!(
                "{} pictures of {} do not fit into memory: use fewer pictures or a smaller model input",
                indices.len(),
                dims(&self.shape)
            );
            return Err(DataError::contents(&self.path, problem));
        };
        let (pixels, files) = (images.par_chunks_exact_mut(size), indices.par_iter());
        let cached = cache.as_deref();
        let outcomes: Vec<Result<ReadPicture, DataError>> = pixels
            .zip(files)
            .map(|(pixels, &i)| {
                let path = &self.files[i as usize].0;
                match cached {
                    Some(cached) => cached.read(path, pixels).map(ReadPicture::Cached),
                    None => {
                        let picture = Picture::read(path)?;
                        let resized = picture.resized_by(self.interpolation, self.shape)?;
                        pixels.copy_from_slice(&resized);
                        Ok(ReadPicture::Decoded(Remarks::of(&picture)))
                    }
                }
            })
            .collect();
        if let Some(cache) = &mut cache {
            let pictures = outcomes.iter().zip(indices).zip(images.chunks_exact(size));
            cache.keep(
                pictures.filter_map(|((outcome, &i), pixels)| match outcome {
                    Ok(ReadPicture::Cached(found)) => {
                        Some((&*self.files[i as usize].0, found, pixels))
                    }
                    _ => None,
                }),
            );
        }
        let (mut labels, mut findings) = (Vec::with_capacity(indices.len()), Findings::default());
        for (at, (outcome, &i)) in outcomes.into_iter().zip(indices).enumerate() {
            match outcome {
                Ok(read) => {
                    let Remarks { blank, clipped } = read.remarks();
                    // Overwrites the pixels of those that could not be read.
                    let kept = labels.len();
                    if kept < at {
                        images.copy_within(at * size..(at + 1) * size, kept * size);
                    }
                    let (path, label) = &self.files[i as usize];
                    labels.push(*label);
                    findings.readable.push(i);
                    if let ReadPicture::Cached(found) = &read {
                        findings.contents.push(found.contents());
                    }
                    findings.blank.extend(blank.then(|| path.clone()));
                    findings.clipped += usize::from(clipped);
                }
                Err(error) => findings.errors.push(error),
            }
        }
        images.truncate(labels.len() * size);
        Ok((Batch::new(images, labels), findings))
    }

    /// Sets how the pictures are resized.
    #[must_use]
    pub fn interpolated_by(self, interpolation: Interpolation) -> Self {
        Self {
            interpolation,
            ..self
        }
    }

    /// Splits off every fifth picture of each class: the training and the test pictures.
    pub(super) fn split(self) -> (Self, Self) {
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

    /// Renumbers the labels to match another folder's classes.
    pub(super) fn matched_to(mut self, classes: &[String]) -> Result<Self, DataError> {
        let labels = crate::data::classes::by_name(&self.path, &self.classes, classes)?;
        for (_, label) in &mut self.files {
            *label = labels[usize::from(*label)];
        }
        self.classes = classes.to_vec();
        Ok(self)
    }
}
