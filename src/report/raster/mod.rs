//! Pictures made of pixels.

mod colours;
mod picture;
mod tiles;

pub(super) use colours::ColourMap;
pub(super) use picture::{Pixels, image, rgb};
pub(super) use tiles::{columns_for, tiles};
