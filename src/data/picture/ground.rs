//! What a transparent picture is laid on.

use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::grey::brightness;

/// Ink brighter than this on average, of 255, is laid on black.
const BRIGHT: u64 = 191;

/// A picture without transparency, with eight bits to a channel; and whether transparency left
/// nothing to see on it, only one colour.
///
/// It is laid on white, but on black where what is drawn is bright (its mean brightness, weighted by
/// alpha, is above three quarters): on white, white ink would not show.
pub(super) fn opaque(image: DynamicImage) -> (RgbImage, bool) {
    if !image.color().has_alpha() {
        return (image.into_rgb8(), false);
    }
    let image = image.into_rgba8();
    let ground = ground(&image);
    let laid = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *image.get_pixel(x, y);
        let mix = |channel: u8| {
            let (channel, alpha) = (u32::from(channel), u32::from(alpha));
            ((channel * alpha + ground * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([r, g, b].map(mix))
    });
    let transparent = image.pixels().any(|pixel| pixel.0[3] < 255);
    let first = laid.pixels().next();
    let blank = transparent && laid.pixels().all(|pixel| Some(pixel) == first);
    (laid, blank)
}

fn ground(image: &RgbaImage) -> u32 {
    let (mut light, mut ink) = (0, 0);
    for &Rgba([r, g, b, alpha]) in image.pixels() {
        light += u64::from(alpha) * u64::from(brightness(&Rgb([r, g, b])));
        ink += u64::from(alpha);
    }
    if light > BRIGHT * ink { 0 } else { 255 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one row: each pixel's grey and alpha.
    fn laid<const N: usize>(pixels: [[u8; 2]; N]) -> ([u8; N], bool) {
        let image = RgbaImage::from_fn(N as u32, 1, |x, _| {
            let [grey, alpha] = pixels[x as usize];
            Rgba([grey, grey, grey, alpha])
        });
        let (laid, blank) = opaque(image.into());
        (
            std::array::from_fn(|x| laid.get_pixel(x as u32, 0).0[0]),
            blank,
        )
    }

    #[test]
    fn what_is_drawn_shows_whatever_its_colour() {
        assert_eq!(laid([[0, 255], [0, 0]]), ([0, 255], false));
        assert_eq!(laid([[255, 255], [255, 0]]), ([255, 0], false));
        // What is transparent has no say, whatever colour hides under it.
        assert_eq!(
            laid([[0, 0], [0, 0], [0, 0], [240, 128]]),
            ([0, 0, 0, 120], false)
        );
        assert_eq!(
            laid([[255, 0], [255, 0], [190, 255]]),
            ([255, 255, 190], false)
        );
        // An opaque picture is what it is.
        assert_eq!(laid([[255, 255], [7, 255]]), ([255, 7], false));
        assert_eq!(laid([[255, 255], [255, 255]]), ([255, 255], false));
    }

    #[test]
    fn a_picture_that_transparency_leaves_empty_is_told() {
        assert_eq!(laid([[9, 0], [200, 0]]), ([255, 255], true));
        assert_eq!(laid([[255, 128], [255, 128]]), ([128, 128], true));
    }
}
