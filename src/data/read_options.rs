//! How a data set is read.

use super::dataset::Splits;
use super::dataset_spec::DatasetSpec;
use super::interpolation::Interpolation;
use crate::train::Options;

/// How pictures are read, and how many samples are trained on.
///
/// ```
/// use cnn_gpu::data::ReadOptions;
/// let options = ReadOptions::default().shape([64, 64, 3]).limit(1000);
/// assert_eq!((options.shape, options.limit), (Some([64, 64, 3]), Some(1000)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Height, width and channels that pictures get. Default: those of the first picture, in colour.
    pub shape: Option<[usize; 3]>,
    /// What decides the order of a folder's pictures to train on, in which the classes are mixed evenly
    /// (see [`mix::order`](super::mix::order)), and what `limit` takes. None: class by class, by
    /// their paths. Default 42, the seed of [`Options`].
    pub seed: Option<u64>,
    /// Trains on this many samples. Of a folder, and of `idx:`, `cifar10:` and `npz:`, these are of all
    /// classes in proportion; without a `seed`, and of the published data sets and the built-in
    /// digits, which are mixed as they are, they are the first. Default all.
    pub limit: Option<usize>,
    /// Passes over pictures that cannot be read, and says so; else they are an error. Default false.
    pub skip_unreadable: bool,
    /// How pictures are brought to their size. Default [`Interpolation::Bilinear`].
    pub interpolation: Interpolation,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            shape: None,
            seed: Some(Options::default().seed),
            limit: None,
            skip_unreadable: false,
            interpolation: Interpolation::default(),
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

    /// Sets the seed of the order, or keeps the order of the paths (`None`).
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }

    /// Sets the number of samples to train on, or takes all (`None`).
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Option<usize>>) -> Self {
        self.limit = limit.into();
        self
    }

    /// Sets whether to skip unreadable pictures.
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

    /// Takes what `limit` says of the samples to train on; of a folder that was done before they were
    /// read.
    pub(super) fn limited(&self, spec: &DatasetSpec, splits: Splits) -> Splits {
        let (Some(limit), train) = (self.limit, &splits.train) else {
            return splits;
        };
        let train = match (spec, self.seed) {
            (DatasetSpec::Folder(_), _) => return splits,
            (DatasetSpec::Idx(_) | DatasetSpec::Cifar10(_) | DatasetSpec::Npz(_), Some(seed)) => {
                train.sample(limit, seed)
            }
            _ => train.take(limit),
        };
        Splits { train, ..splits }
    }
}
