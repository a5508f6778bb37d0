//! Labelled images in memory.

use std::fmt::{self, Debug, Formatter};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::{DataError, classes, mix, sha256};

/// Labelled images, as bytes or, from [`Dataset::from_floats`], as floats.
///
/// A network receives a byte divided by 255, and a float as it is. Clones share the pixels and the
/// labels, and so do executors in main memory that hold the data set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The name: `mnist`, `digits`, or the kind of files that it was read from.
    pub name: String,
    /// The origin: a folder, an address or `built in`.
    pub source: String,
    /// The number of classes; every label is smaller.
    pub classes: usize,
    /// The class names; empty if classes are named by their numbers.
    pub class_names: Vec<String>,
    shape: [usize; 3],
    images: Images,
    labels: Arc<Vec<u8>>,
    /// The file of each sample; empty if samples have no files of their own.
    files: Arc<Vec<String>>,
    /// The fingerprint of shape, images and labels, once someone has asked for it.
    fingerprint: Arc<OnceLock<String>>,
    /// A number that all clones have, and no other data set.
    number: Arc<OnceLock<u64>>,
}

/// The pixels of a data set.
#[derive(Clone)]
enum Images {
    // Not `Arc<[u8]>`: making one out of a `Vec` copies the bytes.
    Bytes(Arc<Vec<u8>>),
    Floats(Arc<dyn AsRef<[f32]> + Send + Sync>),
}

/// The pixels of a data set, as they lie in memory: `[n, h, w, c]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum PixelValues<'a> {
    Bytes(&'a [u8]),
    Floats(&'a [f32]),
}

impl<'a> PixelValues<'a> {
    /// The memory that they lie in.
    pub(crate) fn memory(self) -> &'a [u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Floats(floats) => bytemuck::cast_slice(floats),
        }
    }

    /// Whether they are floats.
    pub(crate) fn are_floats(self) -> bool {
        matches!(self, Self::Floats(_))
    }

    /// Image `i` of those of `size` pixels.
    pub(crate) fn image(self, i: usize, size: usize) -> Self {
        match self {
            Self::Bytes(bytes) => Self::Bytes(&bytes[i * size..][..size]),
            Self::Floats(floats) => Self::Floats(&floats[i * size..][..size]),
        }
    }

    /// Copies of the images with these indices.
    fn chosen(self, indices: impl ExactSizeIterator<Item = usize>, size: usize) -> Images {
        fn copied<T: Copy>(
            from: &[T],
            indices: impl ExactSizeIterator<Item = usize>,
            size: usize,
        ) -> Arc<Vec<T>> {
            let mut chosen = Vec::with_capacity(indices.len() * size);
            indices.for_each(|i| chosen.extend_from_slice(&from[i * size..][..size]));
            Arc::new(chosen)
        }
        match self {
            Self::Bytes(bytes) => Images::Bytes(copied(bytes, indices, size)),
            Self::Floats(floats) => Images::Floats(copied(floats, indices, size)),
        }
    }
}

impl Debug for Images {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(bytes).finish(),
            Self::Floats(floats) => f.debug_tuple("Floats").field(&(**floats).as_ref()).finish(),
        }
    }
}

impl PartialEq for Dataset {
    fn eq(&self, other: &Self) -> bool {
        // Neither does it matter whether the fingerprints are known, nor in which files samples were.
        let key = |d: &Self| (d.shape, d.classes);
        key(self) == key(other)
            && (&self.name, &self.source) == (&other.name, &other.source)
            && self.class_names == other.class_names
            && self.labels == other.labels
            && self.pixels() == other.pixels()
    }
}

/// A training set, a test set, and possibly a validation set.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Splits {
    /// The training samples.
    pub train: Dataset,
    /// The validation samples, if the data set has any.
    pub validation: Option<Dataset>,
    /// The test samples.
    pub test: Dataset,
}

impl Splits {
    /// A training set and a test set.
    pub fn new(train: Dataset, test: Dataset) -> Self {
        Self {
            train,
            validation: None,
            test,
        }
    }

    /// Applies `change` to each set.
    ///
    /// # Errors
    /// Those of `change`.
    pub fn map<E>(self, mut change: impl FnMut(Dataset) -> Result<Dataset, E>) -> Result<Self, E> {
        Ok(Self {
            train: change(self.train)?,
            validation: self.validation.map(&mut change).transpose()?,
            test: change(self.test)?,
        })
    }
}

impl Dataset {
    /// Makes a data set after checking that its parts agree.
    ///
    /// # Errors
    /// [`DataError::EmptyShape`], [`DataError::ImageBytes`] or [`DataError::LabelRange`].
    pub fn new(
        name: impl Into<String>,
        source: impl Into<String>,
        shape: [usize; 3],
        classes: usize,
        images: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let source = source.into();
        check_length(&source, shape, images.len(), labels.len())?;
        check_labels(&source, classes, &labels)?;
        Ok(Self::of_parts(name, source, shape, classes, images, labels))
    }

    /// Makes a data set of floats, which a network receives as they are, after checking that its
    /// parts agree. The floats stay where they are, and may be anything that gives the same ones
    /// each time, such as a `Vec` or memory of another program.
    ///
    /// Training, evaluation and [`Trainer::outputs`](crate::train::Trainer::outputs) take such data
    /// sets; what shows pictures or writes files takes bytes.
    ///
    /// # Errors
    /// As [`Dataset::new`]; [`DataError::NotFinite`] for NaN and infinite numbers.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use cnn_gpu::data::Dataset;
    /// let pixels = Arc::new(vec![0.5, -1.0, 2.0, 0.0]);
    /// let data = Dataset::from_floats("mine", "here", [1, 2, 1], 2, pixels, vec![0, 1])?;
    /// assert_eq!(data.floats(), Some(&[0.5, -1.0, 2.0, 0.0][..]));
    /// # Ok::<(), cnn_gpu::data::DataError>(())
    /// ```
    pub fn from_floats(
        name: impl Into<String>,
        source: impl Into<String>,
        shape: [usize; 3],
        classes: usize,
        images: Arc<dyn AsRef<[f32]> + Send + Sync>,
        labels: Vec<u8>,
    ) -> Result<Self, DataError> {
        let source = source.into();
        let floats = (*images).as_ref();
        check_length(&source, shape, floats.len(), labels.len()).map_err(|error| match error {
            DataError::ImageBytes {
                origin,
                shape,
                samples,
                found,
            } => DataError::ImageFloats {
                origin,
                shape,
                samples,
                found,
            },
            other => other,
        })?;
        check_labels(&source, classes, &labels)?;
        if let Some(at) = first_not_finite(floats) {
            return Err(DataError::NotFinite {
                origin: source,
                value: floats[at],
                image: at / shape.iter().product::<usize>(),
            });
        }
        let parts = Self::of_parts(name, source, shape, classes, Vec::new(), labels);
        Ok(Self {
            images: Images::Floats(images),
            ..parts
        })
    }

    /// Makes a data set from parts that agree.
    pub(crate) fn of_parts(
        name: impl Into<String>,
        source: impl Into<String>,
        shape: [usize; 3],
        classes: usize,
        images: Vec<u8>,
        labels: Vec<u8>,
    ) -> Self {
        Self {
            name: name.into(),
            source: source.into(),
            shape,
            classes,
            class_names: Vec::new(),
            images: Images::Bytes(Arc::new(images)),
            labels: Arc::new(labels),
            files: Arc::default(),
            fingerprint: Arc::default(),
            number: Arc::default(),
        }
    }

    /// Height, width and channels of an image.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The pixels as bytes, `[n, h, w, c]`; empty if they are floats.
    pub fn images(&self) -> &[u8] {
        match self.pixels() {
            PixelValues::Bytes(bytes) => bytes,
            PixelValues::Floats(_) => &[],
        }
    }

    /// The pixels as floats, `[n, h, w, c]`; `None` if they are bytes.
    pub fn floats(&self) -> Option<&[f32]> {
        match self.pixels() {
            PixelValues::Bytes(_) => None,
            PixelValues::Floats(floats) => Some(floats),
        }
    }

    /// The same samples with floats made of the bytes.
    pub(crate) fn with_pixels_as(self, float: impl Fn(u8) -> f32) -> Self {
        let floats: Vec<f32> = self.images().iter().map(|&byte| float(byte)).collect();
        Self {
            images: Images::Floats(Arc::new(floats)),
            fingerprint: Arc::default(),
            number: Arc::default(),
            ..self
        }
    }

    /// The pixels of either kind.
    pub(crate) fn pixels(&self) -> PixelValues<'_> {
        match &self.images {
            Images::Bytes(bytes) => PixelValues::Bytes(bytes),
            Images::Floats(floats) => PixelValues::Floats((**floats).as_ref()),
        }
    }

    /// The class of each image: `[n]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// Names the classes.
    #[must_use]
    pub fn with_class_names(mut self, names: Vec<String>) -> Self {
        // They may come from folder names.
        self.class_names = printable(names);
        self
    }

    /// Names the file of each sample. Without a name for every sample, none has one.
    #[must_use]
    pub fn with_files(mut self, files: Vec<String>) -> Self {
        let are_all = files.len() == self.len();
        let files = if are_all { files } else { Vec::new() };
        self.files = Arc::new(printable(files));
        self
    }

    /// The file that sample `i` was read from, below the folder of the data set; `None` if samples
    /// have no files of their own.
    pub fn file(&self, i: usize) -> Option<&str> {
        self.files.get(i).map(String::as_str)
    }

    /// The name of a class, or its number if it has no name.
    pub fn class_name(&self, class: usize) -> String {
        match self.class_names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The size of one image, `[h, w, c]`, in bytes, or in floats.
    pub fn image_bytes(&self) -> usize {
        self.shape.iter().product()
    }

    /// The pixels of image `i`, `[h, w, c]`, as bytes.
    ///
    /// # Panics
    /// If `i` is not smaller than [`Dataset::len`], or if the pixels are floats.
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.image_bytes();
        &self.images()[i * size..(i + 1) * size]
    }

    /// The first `n` samples, or all if there are fewer.
    #[must_use]
    pub fn take(&self, n: usize) -> Self {
        if n >= self.len() {
            return self.clone();
        }
        self.with(
            self.pixels().chosen(0..n, self.image_bytes()),
            self.labels[..n].to_vec(),
            self.files.iter().take(n).cloned().collect(),
        )
    }

    /// A random sample of size `n`, or everything if there are fewer. It is stratified, depends
    /// only on `seed`, and keeps the data set's order.
    #[must_use]
    pub fn sample(&self, n: usize, seed: u64) -> Self {
        let mut indices = mix::order(&self.labels, seed);
        indices.truncate(n);
        indices.sort_unstable();
        let indices = || indices.iter().map(|&i| i as usize);
        self.with(
            self.pixels().chosen(indices(), self.image_bytes()),
            indices().map(|i| self.labels[i]).collect(),
            indices()
                .filter_map(|i| self.files.get(i).cloned())
                .collect(),
        )
    }

    fn with(&self, images: Images, labels: Vec<u8>, files: Vec<String>) -> Self {
        Self {
            images,
            labels: Arc::new(labels),
            files: Arc::new(files),
            fingerprint: Arc::default(),
            number: Arc::default(),
            name: self.name.clone(),
            source: self.source.clone(),
            class_names: self.class_names.clone(),
            ..*self
        }
    }

    /// The same samples with the classes of a model, matched by name: each label becomes the index
    /// of its class in `names`. Not every name need occur. A data set without class names is
    /// unchanged.
    ///
    /// # Errors
    /// [`DataError::Contents`] lists the classes that are not in `names`.
    pub fn matched_to(mut self, names: &[String]) -> Result<Self, DataError> {
        if self.class_names.is_empty() {
            return Ok(self);
        }
        let places = classes::by_name(Path::new(&self.source), &self.class_names, names)?;
        let labels = self.labels.iter().map(|label| {
            // Classes beyond the names are numbers.
            places.get(usize::from(*label)).copied().unwrap_or(*label)
        });
        self.labels = Arc::new(labels.collect());
        self.fingerprint = Arc::default();
        self.number = Arc::default();
        self.classes = names.len();
        self.class_names = names.to_vec();
        Ok(self)
    }

    /// The SHA-256 of the shape, the images and the labels, in hexadecimal. Computed at the
    /// first call, for all clones.
    pub fn fingerprint(&self) -> &str {
        self.fingerprint.get_or_init(|| self.hash())
    }

    /// A key that data sets with other samples do not have: of bytes the fingerprint. Floats, of which
    /// there may be gigabytes in use for one call only, are not hashed: their clones share a number.
    pub(crate) fn key(&self) -> String {
        static LAST: AtomicU64 = AtomicU64::new(0);
        match self.pixels() {
            PixelValues::Bytes(_) => self.fingerprint().to_owned(),
            PixelValues::Floats(_) => {
                let next = || LAST.fetch_add(1, Ordering::Relaxed);
                format!("floats {}", self.number.get_or_init(next))
            }
        }
    }

    /// The same samples, whose fingerprint is known.
    #[cfg(feature = "pictures")]
    pub(super) fn with_fingerprint(mut self, fingerprint: String) -> Self {
        self.fingerprint = Arc::new(OnceLock::from(fingerprint));
        self
    }

    fn hash(&self) -> String {
        #[cfg(test)]
        hashes::count();
        let mut hash = Sha256::new();
        for size in self.shape {
            hash.update((size as u64).to_le_bytes());
        }
        if self.pixels().are_floats() {
            hash.update(b"f32");
        }
        hash.update(self.pixels().memory());
        hash.update(self.labels());
        sha256::hex(&hash.finalize())
    }
}

/// Names that can be printed.
fn printable(names: Vec<String>) -> Vec<String> {
    let printable = |name: String| name.replace(char::is_control, "\u{fffd}");
    names.into_iter().map(printable).collect()
}

/// The place of the first NaN or infinite number.
fn first_not_finite(floats: &[f32]) -> Option<usize> {
    // A product with 0 is NaN for both; the sum of a block is a loop without branches.
    const BLOCK: usize = 4096;
    let is_finite = |block: &[f32]| {
        let mut sums = [0.0; 16];
        let mut lanes = block.chunks_exact(16);
        for lane in &mut lanes {
            sums.iter_mut().zip(lane).for_each(|(s, x)| *s += x * 0.0);
        }
        let rest: f32 = lanes.remainder().iter().map(|x| x * 0.0).sum();
        rest + sums.iter().sum::<f32>() == 0.0
    };
    let bad = floats.chunks(BLOCK).position(|block| !is_finite(block))?;
    let within = floats[bad * BLOCK..].iter().position(|x| !x.is_finite())?;
    Some(bad * BLOCK + within)
}

fn check_length(
    origin: &str,
    shape: [usize; 3],
    found: usize,
    samples: usize,
) -> Result<(), DataError> {
    // The size of one image comes first, so that it is checked even if there are no samples.
    let expected = shape
        .iter()
        .try_fold(1_usize, |product, &size| product.checked_mul(size))
        .and_then(|image| image.checked_mul(samples));
    match expected {
        _ if shape.contains(&0) => Err(DataError::EmptyShape {
            origin: origin.into(),
            shape,
        }),
        Some(expected) if expected == found => Ok(()),
        _ => Err(DataError::ImageBytes {
            origin: origin.into(),
            shape,
            samples,
            found,
        }),
    }
}

pub(super) fn check_labels<'a>(
    origin: &str,
    classes: usize,
    labels: impl IntoIterator<Item = &'a u8>,
) -> Result<(), DataError> {
    let mut labels = labels.into_iter().enumerate();
    match labels.find(|(_, label)| usize::from(**label) >= classes) {
        None => Ok(()),
        Some((index, &label)) => Err(DataError::LabelRange {
            origin: origin.into(),
            index,
            label,
            classes,
        }),
    }
}

/// The fingerprints that this thread has computed.
#[cfg(test)]
pub(crate) mod hashes {
    use std::cell::Cell;

    thread_local!(static COMPUTED: Cell<usize> = const { Cell::new(0) });

    pub(super) fn count() {
        COMPUTED.set(COMPUTED.get() + 1);
    }

    pub(crate) fn computed() -> usize {
        COMPUTED.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(
        shape: [usize; 3],
        classes: usize,
        images: usize,
        labels: &[u8],
    ) -> Result<Dataset, DataError> {
        let images = (0..images).map(|i| i as u8).collect();
        Dataset::new("test", "here", shape, classes, images, labels.to_vec())
    }

    #[test]
    fn gives_images_and_the_first_samples() {
        let data = dataset([1, 2, 3], 4, 18, &[0, 3, 1]).unwrap();
        assert_eq!(data.image(2), [12, 13, 14, 15, 16, 17]);
        let first = data.take(2);
        assert_eq!((first.len(), first.image(1)), (2, data.image(1)));
        assert_eq!(first.labels(), [0, 3]);
        assert_eq!(data.take(100), data);
        assert!(data.take(0).is_empty());
    }

    #[test]
    fn refuses_parts_that_do_not_agree() {
        let error = |shape, classes, images, labels: &[u8]| {
            dataset(shape, classes, images, labels)
                .unwrap_err()
                .to_string()
        };
        let message = error([1, 2, 3], 4, 17, &[0, 3, 1]);
        assert!(message.contains("found 17 bytes"), "{message}");
        let message = error([1, 2, 3], 3, 18, &[0, 3, 1]);
        assert!(message.contains("label 1 is 3"), "{message}");
        let message = error([1, 0, 3], 3, 0, &[0]);
        assert!(message.contains("have no pixels"), "{message}");
        for labels in [&[][..], &[0]] {
            let message = error([usize::MAX; 3], 3, 0, labels);
            assert!(message.contains("bytes of pixels"), "{message}");
        }
    }

    fn of_floats(pixels: Vec<f32>, labels: &[u8]) -> Result<Dataset, DataError> {
        Dataset::from_floats(
            "test",
            "here",
            [1, 2, 3],
            4,
            Arc::new(pixels),
            labels.to_vec(),
        )
    }

    #[test]
    fn floats_are_taken_where_they_are_and_chosen_like_bytes() {
        let pixels: Vec<f32> = (0..18).map(|i| i as f32 - 7.5).collect();
        let data = of_floats(pixels.clone(), &[0, 3, 1]).unwrap();
        let moved = data.clone();
        assert_eq!(
            data.floats().unwrap().as_ptr(),
            moved.floats().unwrap().as_ptr()
        );
        assert!(data.images().is_empty());
        assert_eq!(data.take(2).floats(), Some(&pixels[..12]));
        let bytes = dataset([1, 2, 3], 4, 18, &[0, 3, 1]).unwrap();
        assert_eq!(data.sample(2, 1).labels(), bytes.sample(2, 1).labels());
        assert_ne!(data.fingerprint(), data.take(2).fingerprint());
        assert_ne!(data, data.take(2));
        assert_eq!(data, data.take(3));
    }

    #[test]
    fn floats_that_are_not_finite_are_named() {
        for (at, value) in [(0, f32::NAN), (6, f32::INFINITY), (17, f32::NEG_INFINITY)] {
            let mut pixels = vec![f32::MAX; 18];
            pixels[at] = value;
            let message = of_floats(pixels, &[0, 3, 1]).unwrap_err().to_string();
            assert!(message.contains(&format!("image {} ", at / 6)), "{message}");
        }
        assert!(of_floats(vec![0.0; 17], &[0, 3, 1]).is_err());
        assert!(of_floats(vec![f32::MIN; 18], &[0, 3, 4]).is_err());
        let mut long = vec![1.0; 6 * 5000];
        long[6 * 4999] = f32::NAN;
        let message = of_floats(long, &[0; 5000]).unwrap_err().to_string();
        assert!(message.contains("image 4999 "), "{message}");
    }

    #[test]
    fn fingerprint_tells_data_apart() {
        let prints = [
            dataset([1, 2, 3], 4, 6, &[0]),
            dataset([2, 1, 3], 4, 6, &[0]),
            dataset([1, 2, 3], 4, 6, &[1]),
            dataset([1, 2, 3], 4, 12, &[0, 1]),
        ]
        .map(|data| data.unwrap().fingerprint().to_owned());
        assert!((1..4).all(|i| !prints[..i].contains(&prints[i])));
        let same = dataset([1, 2, 3], 4, 6, &[0]).unwrap();
        assert_eq!(same.fingerprint(), prints[0]);
    }

    #[test]
    fn clones_share_their_bytes_and_one_hash() {
        let data = dataset([1, 2, 3], 4, 18, &[0, 3, 1]).unwrap();
        let before = hashes::computed();
        let clones = [
            data.clone(),
            data.take(3),
            data.clone().with_class_names(vec![]),
        ];
        for clone in &clones {
            assert_eq!(clone.images().as_ptr(), data.images().as_ptr());
            assert_eq!(clone.labels().as_ptr(), data.labels().as_ptr());
            assert_eq!(clone.fingerprint(), data.fingerprint());
        }
        assert_eq!(hashes::computed() - before, 1);
    }

    #[test]
    fn other_labels_have_another_fingerprint() {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        let data = dataset([1, 2, 3], 2, 12, &[0, 1]).unwrap();
        let data = data.with_class_names(names(["cat", "dog"]));
        let known = data.fingerprint().to_owned();
        let matched = data.matched_to(&names(["dog", "cat"])).unwrap();
        assert_eq!(matched.labels(), [1, 0]);
        assert_ne!(matched.fingerprint(), known);
    }
}
