//! Where the images come from: published data sets found or downloaded, files and folders of one's
//! own, or digits drawn by the program.
//!
//! [`load`] looks for a published data set in this order: the folder given as argument, which must hold
//! it; the folder in `CNN_GPU_DATA_DIR` (or its sub-folder of the data set's name); the user's cache
//! folder; the mirrors (`CNN_GPU_MIRRORS`, base addresses separated by spaces, overrides them; an empty
//! value turns downloads off). With [`DatasetSpec::Auto`] it ends at the built-in digits, which it announces
//! by [`Event::FellBack`]; with [`DatasetSpec::Mnist`] it ends with an error. The environment's folder must
//! be there and hold MNIST too; of the other sets only those that have a sub-folder in it. This module
//! prints nothing: what happens is told to the caller as [`Event`]s.
//!
//! What does not fit into memory, or has no end, is a [`Generator`] of batches.
//!
//! Read `dataset` first, then `published` (what is checked), `sources`, `download`, `mnist` (find),
//! `idx`, and `digits`; then the
//! files of one's own: `folder` with `picture`, `idx_folder`, `cifar10` and `npz`. `prepare` makes
//! MNIST's digits of pictures, and `sheet` pictures of samples.

pub(crate) mod bounded;
pub mod cifar10;
mod classes;
mod dataset;
mod dataset_spec;
pub mod digits;
#[cfg(feature = "download")]
mod download;
#[cfg(not(feature = "download"))]
#[path = "no_download.rs"]
mod download;
mod error;
mod event;
#[cfg(feature = "pictures")]
pub mod folder;
mod generator;
mod gzip;
pub mod idx;
pub mod idx_folder;
mod interpolation;
pub mod mix;
mod mnist;
pub mod npz;
#[cfg(feature = "pictures")]
pub mod picture;
#[cfg(feature = "pictures")]
pub mod prepare;
mod published;
mod read_options;
mod sha256;
#[cfg(feature = "pictures")]
pub mod sheet;
mod sources;
#[cfg(feature = "pictures")]
pub mod survey;

use std::path::Path;

pub use dataset::{Dataset, Splits};
pub use dataset_spec::DatasetSpec;
pub use error::DataError;
pub use event::Event;
#[cfg(feature = "pictures")]
pub use folder::ImageFolder;
pub use generator::{Batch, FromIter, Generator};
pub use interpolation::Interpolation;
#[cfg(feature = "pictures")]
pub use picture::Picture;
pub use published::{Content, Hashed, MnistFile, Published};
pub use read_options::ReadOptions;
pub use sources::{Mirrors, Sources};

/// Loads a data set from the places named by `data_dir` and the environment.
///
/// # Errors
/// [`DataError`] if what was asked for cannot be had, or if a folder named by the user cannot be
/// used. With [`DatasetSpec::Auto`] the built-in digits are the last resort, but not where such a folder is
/// wrong.
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

/// Loads the samples of a data set to test a model on that was trained on another one: as
/// [`load_from`], but of a folder of pictures without a sub-folder for testing all pictures are
/// taken; see [`folder::to_test`].
///
/// # Errors
/// As [`load`].
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

/// Loads a data set from given places: what [`load`] does after reading the environment.
///
/// # Errors
/// As [`load`].
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
    let problem =
        "this library was built without its cargo feature `pictures`, which reads folders of them";
    DataError::contents(path, problem)
}
