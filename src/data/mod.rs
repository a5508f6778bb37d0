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
pub mod prepare;
mod published;
mod read_options;
mod sha256;
#[cfg(feature = "pictures")]
pub mod sheet;
mod sources;
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
pub use published::{Content, Hashed, MnistFile, Published};
pub use read_options::ReadOptions;
pub use sources::{Mirrors, Sources};
