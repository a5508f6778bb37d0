//! Conversion of colours to grey.

use image::{Rgb, RgbImage};

/// The brightness of each pixel.
pub(in crate::data) fn grey(image: &RgbImage) -> Vec<u8> {
    image.pixels().map(brightness).collect()
}

/// A pixel's brightness with the weights of ITU-R BT.601, as in Keras's loader.
pub(super) fn brightness(Rgb([r, g, b]): &Rgb<u8>) -> u8 {
    let sum = 19_595 * u32::from(*r) + 38_470 * u32::from(*g) + 7_471 * u32::from(*b);
    ((sum + 0x8000) >> 16) as u8
}
