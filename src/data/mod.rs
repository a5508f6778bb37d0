//! Data.
mod dataset;
mod error;
mod sha256;
pub use dataset::*;
pub use error::*;
