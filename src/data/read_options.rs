//! Options for reading a data set.

use super::dataset::Splits;
use super::dataset_spec::DatasetSpec;
use super::interpolation::Interpolation;
#[cfg(feature = "pictures")]
use super::picture_cache::PictureCache;
use crate::rng::DEFAULT_SEED;

/// Options for reading a data set: how to read pictures, and how many training samples to use.
///
/// ```
/// use cnn_gpu::data::ReadOptions;
/// let options = ReadOptions::default().shape([64, 64, 3]).limit(1000);
/// assert_eq!((options.shape, options.limit), (Some([64, 64, 3]), Some(1000)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Height, width and channels of the resized pictures. Default: the size of the first picture,
    /// in colour.
    pub shape: Option<[usize; 3]>,
    /// The seed of the order of a folder's training pictures, in which the classes are evenly
    /// interleaved (see [`mix::order`](super::mix::order)), and of the samples that `limit`
    /// selects. `None`: class by class, in the order of the paths. Default 42, the seed of
    /// [`Options`](crate::train::Options).
    pub seed: Option<u64>,
    /// The number of training samples. From `folder:`, `idx:`, `cifar10:` and `npz:` this is a
    /// stratified sample if there is a `seed`. From the published data sets and the built-in
    /// digits, whose order is random already, and without a seed, these are the first samples.
    /// Default: all.
    pub limit: Option<usize>,
    /// Whether to skip pictures that cannot be read, with a warning; otherwise they are an error.
    /// Default false.
    pub skip_unreadable: bool,
    /// How pictures are resized. Default [`Interpolation::Bilinear`].
    pub interpolation: Interpolation,
    /// Accepts a folder that cannot be trained on, to inspect it: with a single class, or without
    /// test pictures. Default false.
    pub inspect: bool,
    /// Where to keep decoded pictures for the next time. Default: nowhere.
    #[cfg(feature = "pictures")]
    pub cache: Option<PictureCache>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            shape: None,
            seed: Some(DEFAULT_SEED),
            limit: None,
            skip_unreadable: false,
            interpolation: Interpolation::default(),
            inspect: false,
            #[cfg(feature = "pictures")]
            cache: None,
        }
    }
}

impl ReadOptions {
    /// Sets the height, width and channels of the pictures.
    #[must_use]
    pub fn shape(mut self, shape: [usize; 3]) -> Self {
        self.shape = Some(shape);
        self
    }

    /// Sets the seed of the order; `None` keeps the order of the paths.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Sets the number of training samples; `None` takes all.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Sets whether to skip pictures that cannot be read.
    #[must_use]
    pub fn skip_unreadable(mut self, skip: bool) -> Self {
        self.skip_unreadable = skip;
        self
    }

    /// Sets how pictures are resized.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.interpolation = interpolation;
        self
    }

    /// Sets whether the data are only inspected.
    #[must_use]
    pub fn inspect(mut self, inspect: bool) -> Self {
        self.inspect = inspect;
        self
    }

    /// Sets where to keep decoded pictures; `None` keeps none.
    #[cfg(feature = "pictures")]
    #[must_use]
    pub fn cache(mut self, cache: impl Into<Option<PictureCache>>) -> Self {
        self.cache = cache.into();
        self
    }

    /// Applies `limit` to the training samples, except to those of a folder, which was limited
    /// before it was read.
    pub(super) fn limited(&self, spec: &DatasetSpec, splits: Splits) -> Splits {
        let (Some(limit), train) = (self.limit, &splits.train) else {
            return splits;
        };
        let train = match (spec, spec.path(), self.seed) {
            (DatasetSpec::Folder(_), _, _) => return splits,
            (_, Some(_), Some(seed)) => train.sample(limit, seed),
            (_, None, _) | (_, _, None) => train.take(limit),
        };
        Splits { train, ..splits }
    }
}
