//! Data sets: published ones found or downloaded, your own files and folders, and built-in digits.
//!
//! [`load`] looks for a published data set in this order:
//!
//! 1. the folder given as an argument, which must hold the data set;
//! 2. the folder in `CNN_GPU_DATA_DIR`, or its sub-folder with the data set's name. It must exist
//!    and hold MNIST; any other data set is required only if it has a sub-folder there;
//! 3. the user's cache folder;
//! 4. the mirrors, which `CNN_GPU_MIRRORS` overrides: base addresses separated by spaces. An empty
//!    value turns downloads off.
//!
//! If all fail, [`DatasetSpec::Auto`] falls back to the built-in digits and reports
//! [`Event::FellBack`]; [`DatasetSpec::Mnist`] returns an error. This module prints nothing: it
//! reports what happens as [`Event`]s.
//!
//! A [`Generator`] makes the batches of data that do not fit into memory or have no end.
//!
//! Read `dataset` first, then `published` (the checks), `sources`, `download` and `mnist` (the
//! search), `idx` and `digits`; then the readers of your own files: `folder` with `picture`,
//! `idx_folder`, `cifar10` and `npz`. `prepare` turns pictures into MNIST-like digits, and `sheet`
//! turns samples into a picture.

pub(crate) mod bounded;
pub mod cifar10;
mod classes;
pub(crate) mod dataset;
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
mod load;
pub mod mix;
mod mnist;
pub mod npz;
#[cfg(feature = "pictures")]
pub mod picture;
#[cfg(feature = "pictures")]
mod picture_cache;
#[cfg(feature = "pictures")]
pub mod prepare;
mod published;
mod read_options;
pub(crate) mod sha256;
#[cfg(feature = "pictures")]
pub mod sheet;
mod sources;
pub(crate) mod split;
#[cfg(feature = "pictures")]
pub mod survey;

pub use dataset::{Dataset, Splits};
pub use dataset_spec::DatasetSpec;
pub use error::{Cause, DataError};
pub use event::Event;
#[cfg(feature = "pictures")]
pub use folder::ImageFolder;
pub use generator::{Batch, FromIter, Generator};
pub use interpolation::Interpolation;
pub use load::{load, load_from, load_test_from};
#[cfg(feature = "pictures")]
pub use picture::Picture;
#[cfg(feature = "pictures")]
pub use picture_cache::PictureCache;
pub use published::{Content, Hashed, MnistFile, Published};
pub use read_options::ReadOptions;
pub use sources::{Mirrors, Sources};
