//! Loading a data set by its [`DatasetSpec`].

use std::path::Path;

use super::dataset::{Dataset, Splits};
use super::dataset_spec::DatasetSpec;
use super::error::DataError;
use super::event::Event;
#[cfg(feature = "pictures")]
use super::folder;
use super::published::Published;
use super::sources::Sources;
use super::{cifar10, digits, idx_folder, mnist, npz};

impl DatasetSpec {
    /// Whether the data set has validation images: a folder of pictures in a sub-folder named `val`
    /// or similar (see [`Part`](folder::Part)), an `.npz` file in an array `x_val`.
    pub fn has_validation(&self) -> bool {
        match self {
            #[cfg(feature = "pictures")]
            Self::Folder(path) => folder::has_validation(path),
            Self::Npz(path) => npz::has_validation(path),
            _ => false,
        }
    }
}

/// Loads a data set from `data_dir` and the places that the environment names.
///
/// # Errors
/// [`DataError`] if the data set is unavailable or a folder named by the user is unusable.
/// [`DatasetSpec::Auto`] falls back to the built-in digits, except if such a folder is unusable.
///
/// ```no_run
/// use cnn_gpu::data::{DatasetSpec, load};
/// let splits = load(DatasetSpec::Auto, None, &mut |event| eprintln!("{event}"))?;
/// println!("{} samples from {}", splits.train.len(), splits.train.source);
/// # Ok::<(), cnn_gpu::data::DataError>(())
/// ```
pub fn load(
    spec: DatasetSpec,
    data_dir: Option<&Path>,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let which = spec.published().unwrap_or(Published::Mnist);
    load_from(spec, &Sources::of(which, data_dir), on_event)
}

/// Loads the test samples of a data set for a model that was trained on another one. Like
/// [`load_from`], but a folder of pictures without a test sub-folder is used as a whole; see
/// [`folder::to_test`].
///
/// # Errors
/// Those of [`load`].
pub fn load_test_from(
    spec: DatasetSpec,
    sources: &Sources,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Dataset, DataError> {
    match spec {
        #[cfg(feature = "pictures")]
        DatasetSpec::Folder(path) => folder::test_split(&path, &sources.read, on_event),
        other => load_from(other, sources, on_event).map(|splits| splits.test),
    }
}

/// Loads a data set from the given sources: [`load`] without the environment.
///
/// # Errors
/// Those of [`load`].
pub fn load_from(
    spec: DatasetSpec,
    sources: &Sources,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    let splits = match &spec {
        DatasetSpec::Digits => digits::splits(),
        #[cfg(not(feature = "pictures"))]
        DatasetSpec::Folder(path) => return Err(no_pictures(path)),
        #[cfg(feature = "pictures")]
        DatasetSpec::Folder(path) => folder::splits(path, &sources.read, on_event)?,
        DatasetSpec::Idx(path) => idx_folder::splits(path)?,
        DatasetSpec::Cifar10(path) => cifar10::splits(path)?,
        DatasetSpec::Npz(path) => {
            let (splits, taken) = npz::read(path)?;
            if let Some(text) = taken {
                on_event(&Event::Note { text });
            }
            splits
        }
        DatasetSpec::Mnist | DatasetSpec::FashionMnist | DatasetSpec::Kmnist => {
            mnist::find(sources, on_event)?
        }
        DatasetSpec::Auto => match mnist::find(sources, on_event) {
            Err(error) if !matches!(error, DataError::GivenFolder { .. }) => {
                on_event(&Event::FellBack {
                    reason: error.in_short(),
                });
                digits::splits()
            }
            found => found?,
        },
    };
    Ok(sources.read.limited(&spec, splits))
}

#[cfg(not(feature = "pictures"))]
fn no_pictures(path: &Path) -> DataError {
    let problem = "this library was built without its cargo feature `pictures`, which reads folders of pictures";
    DataError::contents(path, problem)
}
