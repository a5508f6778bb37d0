//! HDF5 files of weights. No other module knows HDF5.
//!
//! Sizes are compared with the file before memory is taken, and values are read in pieces. Links to
//! other places and files are not followed: [`hdf5_pure`] knows hard links only.

mod fault;
mod file;
mod tensor;
mod write;

pub(super) use file::WeightsFile;
pub(super) use tensor::StoredTensor;
pub(super) use write::{Variable, Variables, write};
