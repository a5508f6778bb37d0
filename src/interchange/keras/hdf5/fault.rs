//! Errors of HDF5 files.

use hdf5_pure::{Error as Hdf5Error, FormatError as Fault};

use crate::error::FormatError;

/// `None` if what was looked for is not there.
pub(super) fn present<T>(
    path: &str,
    found: Result<T, Hdf5Error>,
) -> Result<Option<T>, FormatError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(
            Hdf5Error::Format(Fault::PathNotFound(_))
            | Hdf5Error::NotAGroup(_)
            | Hdf5Error::NotADataset(_),
        ) => Ok(None),
        Err(e) => Err(fault(path, e)),
    }
}

/// A tensor that is not as expected.
pub(super) fn wrong(path: &str, problem: &str) -> FormatError {
    format!("the tensor {path} {problem}").into()
}

/// A damaged file.
pub(super) fn fault(path: &str, error: Hdf5Error) -> FormatError {
    let message = format!(
        "{path} cannot be read ({error}): expected a complete file without soft or external links"
    );
    FormatError::from(message).caused_by(error)
}
