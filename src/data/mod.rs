//! Where the images come from: MNIST found, downloaded or, without it, digits drawn by the program.
//!
//! [`load`] looks in this order: the folder given as argument; the folder in `CNN_GPU_DATA_DIR`; the
//! user's cache folder; the mirrors (`CNN_GPU_MIRRORS`, base addresses separated by spaces, overrides
//! them; an empty value turns downloads off). With [`Choice::Auto`] it ends at the built-in digits,
//! which it announces by [`Event::FellBack`]; with [`Choice::Mnist`] it ends with an error. This module
//! prints nothing: what happens is told to the caller as [`Event`]s.
//!
//! Read `dataset` first, then `mnist` (find and check), `download`, `idx`, and `digits`.

mod choice;
mod dataset;
pub mod digits;
mod download;
mod error;
mod event;
pub mod idx;
mod mnist;
mod sha256;
mod sources;

use std::path::Path;

pub use choice::Choice;
pub use dataset::{Dataset, Splits};
pub use download::Mirrors;
pub use error::DataError;
pub use event::Event;
pub use mnist::{Content, MnistFile, published};
pub use sources::Sources;

/// Loads a data set from the places named by `data_dir` and the environment.
///
/// # Errors
/// [`DataError`] if MNIST was asked for and cannot be had, or if a folder named by the user cannot be
/// used. With [`Choice::Auto`] these are events, and the built-in digits are the last resort.
///
/// ```no_run
/// use cnn_gpu::data::{Choice, load};
/// let splits = load(Choice::Auto, None, &mut |event| eprintln!("{event}"))?;
/// println!("{} samples from {}", splits.train.len(), splits.train.source);
/// # Ok::<(), cnn_gpu::data::DataError>(())
/// ```
pub fn load(
    choice: Choice,
    data_dir: Option<&Path>,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    load_from(choice, &Sources::from_env(data_dir), on_event)
}

/// Loads a data set from given places: what [`load`] does after reading the environment.
///
/// # Errors
/// As [`load`].
pub fn load_from(
    choice: Choice,
    sources: &Sources,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Splits, DataError> {
    match choice {
        Choice::Digits => Ok(digits::splits()),
        Choice::Mnist => mnist::find(sources, true, on_event),
        Choice::Auto => mnist::find(sources, false, on_event).or_else(|error| {
            on_event(&Event::FellBack {
                reason: error.to_string(),
            });
            Ok(digits::splits())
        }),
    }
}
