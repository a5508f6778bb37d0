//! How a data set is read.

use super::dataset::Splits;
use super::dataset_spec::DatasetSpec;
use super::interpolation::Interpolation;
use crate::train::Options;

/// How pictures are read, and how many samples are trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
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
