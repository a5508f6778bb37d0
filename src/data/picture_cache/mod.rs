//! Pictures that were decoded before, on the disk.
//!
//! A folder of pictures has a pack in the cache: a file with the resized pixels of each picture, one
//! after the other, and an index with its path, its stamp, the SHA-256 of its contents, and the place
//! and the CRC-32C of its pixels. A picture whose stamp is the same is not even opened; one whose
//! contents are the same, in this folder or in another one, is not decoded.
//!
//! A small file beside them has the fingerprints of the data sets that were read from the pack.
//!
//! Whoever adds to a pack holds its lock until the index is written; readers need none, as pixels that
//! an index names never change. A pack is started anew, with another file of pixels, if less than half
//! of the old one is in use.
//!
//! Read `remarks`, `stamp`, `index` and `names` first, then `store`, `pack`, `writer`,
//! `fingerprints` and `cached_folder`.

mod cached_folder;
mod fingerprints;
mod index;
mod names;
mod pack;
mod remarks;
mod stamp;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use cached_folder::{CachedFolder, FoundPicture};
pub(super) use index::PixelFormat;
pub(super) use remarks::Remarks;
pub use store::PictureCache;
