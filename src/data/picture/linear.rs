//! Linear light without an upper limit, as Radiance HDR and OpenEXR files store it, in sRGB of 8
//! bits.
//!
//! As Blender's view transform "Standard" and ImageMagick do when they export such a picture, light
//! from 0 to 1 goes through sRGB's transfer function, and light below 0 and above 1 is clipped.

use std::sync::LazyLock;

use image::{DynamicImage, RgbImage, RgbaImage};

use super::super::error::DataError;
use super::file::PictureFile;

/// A decoded file.
pub(super) struct DecodedPicture {
    pub(super) image: DynamicImage,
    /// Whether light above 1 was clipped.
    pub(super) clipped: bool,
}

impl From<DynamicImage> for DecodedPicture {
    fn from(image: DynamicImage) -> Self {
        let clipped = false;
        Self { image, clipped }
    }
}

/// The light at which each level from 1 on begins, half a level below it, and where clipping
/// begins, half a level above white.
static THRESHOLDS: LazyLock<[f32; 256]> =
    LazyLock::new(|| std::array::from_fn(|level| light((level as f64 + 0.5) / 255.0) as f32));

/// The light of an sRGB value, both from 0 to 1. From `libm`, so that every machine has the same.
fn light(srgb: f64) -> f64 {
    if srgb <= 0.04045 {
        srgb / 12.92
    } else {
        libm::pow((srgb + 0.055) / 1.055, 2.4)
    }
}

/// A picture that is filled with linear light.
pub(super) struct SrgbCanvas {
    size: [u32; 2],
    /// Red, green and blue, and with `has_alpha` also alpha.
    bytes: Vec<u8>,
    has_alpha: bool,
    clipped: bool,
    /// The number of pixels that are not numbers.
    nan: u64,
}

impl SrgbCanvas {
    /// A black or transparent picture.
    pub(super) fn new(size: [u32; 2], has_alpha: bool) -> Self {
        let channels = if has_alpha { 4 } else { 3 };
        Self {
            size,
            bytes: vec![0; size[0] as usize * size[1] as usize * channels],
            has_alpha,
            clipped: false,
            nan: 0,
        }
    }

    /// Sets the pixel at an index. Its colour is premultiplied by `alpha`.
    pub(super) fn set(&mut self, index: usize, colour: [f32; 3], alpha: f32) {
        if colour.iter().any(|light| light.is_nan()) || alpha.is_nan() {
            self.nan += 1;
            return;
        }
        if !self.has_alpha {
            let levels = colour.map(|light| self.level(light));
            self.bytes[3 * index..3 * index + 3].copy_from_slice(&levels);
            return;
        }
        let alpha = alpha.clamp(0.0, 1.0);
        let opacity = (alpha * 255.0).round() as u8;
        // The colour of a transparent pixel does not show.
        let [r, g, b] = match opacity {
            0 => [0; 3],
            _ => colour.map(|light| self.level(light / alpha)),
        };
        self.bytes[4 * index..4 * index + 4].copy_from_slice(&[r, g, b, opacity]);
    }

    fn level(&mut self, light: f32) -> u8 {
        let level = THRESHOLDS.partition_point(|threshold| *threshold <= light);
        self.clipped |= level > 255;
        level.min(255) as u8
    }

    /// The picture, unless the file has pixels that are not numbers.
    pub(super) fn finish(self, file: PictureFile) -> Result<DecodedPicture, DataError> {
        if self.nan > 0 {
            let pixels = match self.nan {
                1 => "1 of its pixels is".to_owned(),
                more => format!("{more} of its pixels are"),
            };
            let problem = format!("{pixels} not a number (NaN): repair it, or convert it to PNG");
            return Err(DataError::contents(file.path, problem));
        }
        let [width, height] = self.size;
        let image = if self.has_alpha {
            RgbaImage::from_raw(width, height, self.bytes).map(DynamicImage::from)
        } else {
            RgbImage::from_raw(width, height, self.bytes).map(DynamicImage::from)
        };
        Ok(DecodedPicture {
            image: image.ok_or_else(|| file.broken("its pixels have the wrong size"))?,
            clipped: self.clipped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pixel with this colour and alpha, and whether it was clipped.
    fn pixel(colour: [f32; 3], alpha: Option<f32>) -> (Vec<u8>, bool) {
        let mut canvas = SrgbCanvas::new([1, 1], alpha.is_some());
        canvas.set(0, colour, alpha.unwrap_or(1.0));
        assert_eq!(canvas.nan, 0);
        (canvas.bytes, canvas.clipped)
    }

    #[test]
    fn every_level_is_the_nearest_in_srgb() {
        for level in 0..=255_u8 {
            let srgb = f64::from(level);
            for srgb in [srgb - 0.49, srgb, srgb + 0.49] {
                let light = light(srgb.max(0.0) / 255.0) as f32;
                assert_eq!(pixel([light; 3], None), (vec![level; 3], false), "{srgb}");
            }
        }
        // By IEC 61966-2-1.
        assert_eq!(pixel([0.5, 0.18, 0.002], None).0, [188, 118, 7]);
    }

    #[test]
    fn light_below_0_and_above_1_is_clipped() {
        let infinite = [f32::NEG_INFINITY, f32::INFINITY, f32::MAX];
        assert_eq!(pixel(infinite, None), (vec![0, 255, 255], true));
        assert_eq!(pixel([-1.0, -0.0, 1.0], None), (vec![0, 0, 255], false));
        // Less than half a level above 1 is 1.
        assert_eq!(pixel([1.004; 3], None), (vec![255; 3], false));
        assert_eq!(pixel([0.0, 0.0, 1.005], None), (vec![0, 0, 255], true));
    }

    #[test]
    fn premultiplied_colours_are_divided_by_alpha() {
        let half = pixel([0.5, 0.25, 0.0], Some(0.5));
        assert_eq!(half, (vec![255, 188, 0, 128], false));
        assert_eq!(
            pixel([0.5; 3], Some(2.0)),
            (vec![188, 188, 188, 255], false)
        );
        // Glow without opacity does not show.
        assert_eq!(pixel([9.0; 3], Some(0.0)), (vec![0; 4], false));
        assert_eq!(pixel([9.0; 3], Some(-1.0)), (vec![0; 4], false));
        assert!(pixel([0.51; 3], Some(0.5)).1);
    }

    #[test]
    fn pixels_that_are_not_numbers_are_counted() {
        let mut canvas = SrgbCanvas::new([2, 2], true);
        canvas.set(0, [f32::NAN, 0.0, 0.0], 1.0);
        canvas.set(1, [0.0; 3], f32::NAN);
        canvas.set(2, [f32::NAN; 3], f32::NAN);
        canvas.set(3, [0.0; 3], 0.0);
        let path = std::path::Path::new("a.exr");
        let error = canvas.finish(PictureFile { path, bytes: &[] }).err();
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(
            message.contains("3 of its pixels are not a number (NaN)"),
            "{message}"
        );
    }
}
