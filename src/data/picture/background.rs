//! The background of transparent pictures.

use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::grey::brightness;

/// A drawing brighter than this on average, of 255, is blended with black.
const BRIGHT: u64 = 191;

/// Removes transparency and reduces channels to 8 bits. Returns also whether transparency left only
/// a single colour.
///
/// The background is white, but black if the drawing is bright (if its mean brightness, weighted by
/// alpha, is above three quarters), because white would not show on white.
pub(super) fn opaque(image: DynamicImage) -> (RgbImage, bool) {
    if !image.color().has_alpha() {
        return (image.into_rgb8(), false);
    }
    let image = image.into_rgba8();
    let background = background(&image);
    let blended = RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let Rgba([r, g, b, alpha]) = *image.get_pixel(x, y);
        let mix = |channel: u8| {
            let (channel, alpha) = (u32::from(channel), u32::from(alpha));
            ((channel * alpha + background * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([r, g, b].map(mix))
    });
    let transparent = image.pixels().any(|pixel| pixel.0[3] < 255);
    let first = blended.pixels().next();
    let blank = transparent && blended.pixels().all(|pixel| Some(pixel) == first);
    (blended, blank)
}

fn background(image: &RgbaImage) -> u32 {
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

    /// Blends a row of pixels with these grey and alpha values.
    fn blended<const N: usize>(pixels: [[u8; 2]; N]) -> ([u8; N], bool) {
        let image = RgbaImage::from_fn(N as u32, 1, |x, _| {
            let [grey, alpha] = pixels[x as usize];
            Rgba([grey, grey, grey, alpha])
        });
        let (blended, blank) = opaque(image.into());
        (
            std::array::from_fn(|x| blended.get_pixel(x as u32, 0).0[0]),
            blank,
        )
    }

    #[test]
    fn a_drawing_of_any_colour_shows() {
        assert_eq!(blended([[0, 255], [0, 0]]), ([0, 255], false));
        assert_eq!(blended([[255, 255], [255, 0]]), ([255, 0], false));
        // The colour of transparent pixels does not count.
        assert_eq!(
            blended([[0, 0], [0, 0], [0, 0], [240, 128]]),
            ([0, 0, 0, 120], false)
        );
        assert_eq!(
            blended([[255, 0], [255, 0], [190, 255]]),
            ([255, 255, 190], false)
        );
        // An opaque picture stays unchanged.
        assert_eq!(blended([[255, 255], [7, 255]]), ([255, 7], false));
        assert_eq!(blended([[255, 255], [255, 255]]), ([255, 255], false));
    }

    #[test]
    fn a_picture_that_transparency_leaves_blank_is_reported() {
        assert_eq!(blended([[9, 0], [200, 0]]), ([255, 255], true));
        assert_eq!(blended([[255, 128], [255, 128]]), ([128, 128], true));
    }
}
