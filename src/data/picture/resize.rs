//! Resizes pictures.

use image::RgbImage;
use image::imageops::{self, FilterType};

use super::super::interpolation::Interpolation;
use super::grey::grey;

/// Scales to a width and height in pixels.
fn scaled(image: &RgbImage, [width, height]: [u32; 2]) -> RgbImage {
    if image.dimensions() == (width, height) {
        return image.clone();
    }
    imageops::resize(image, width, height, FilterType::Triangle)
}

/// The resized pixels as `[h, w, c]`: grey for one channel, otherwise red, green and blue.
pub(super) fn pixels(
    image: &RgbImage,
    [height, width, channels]: [usize; 3],
    interpolation: Interpolation,
) -> Vec<u8> {
    match (interpolation, channels) {
        (Interpolation::Bilinear, 1) => grey(&scaled(image, [width as u32, height as u32])),
        (Interpolation::Bilinear, _) => scaled(image, [width as u32, height as u32]).into_raw(),
        (Interpolation::BilinearNoAntialias, channels) => {
            let [w, h] = [image.width(), image.height()].map(|side| side as usize);
            let grey = (channels == 1).then(|| grey(image));
            let pixels = grey.as_deref().unwrap_or(image.as_raw());
            interpolated(pixels, [h, w, channels], [height, width])
        }
    }
}

/// The position of a new pixel between two old ones: their indices, and the distance from the
/// first.
struct Between {
    low: usize,
    high: usize,
    part: f32,
}

/// The centres of `new` pixels in the old picture: `(i + 1/2) * old / new - 1/2`.
fn between(old: usize, new: usize) -> Vec<Between> {
    let scale = old as f32 / new as f32;
    let place = |i: usize| {
        let at = (i as f32 + 0.5) * scale - 0.5;
        Between {
            low: at.floor().max(0.0) as usize,
            high: (at.ceil() as usize).min(old - 1),
            part: at - at.floor(),
        }
    };
    (0..new).map(place).collect()
}

/// TensorFlow's `ResizeBilinear` with `half_pixel_centers`, rounded to whole levels.
fn interpolated(
    pixels: &[u8],
    [height, width, channels]: [usize; 3],
    [new_height, new_width]: [usize; 2],
) -> Vec<u8> {
    let (rows, columns) = (between(height, new_height), between(width, new_width));
    let mut out = Vec::with_capacity(new_height * new_width * channels);
    for y in &rows {
        for x in &columns {
            for channel in 0..channels {
                let old = |y, x| f32::from(pixels[(y * width + x) * channels + channel]);
                let row = |y| old(y, x.low) + (old(y, x.high) - old(y, x.low)) * x.part;
                let (top, bottom) = (row(y.low), row(y.high));
                out.push((top + (bottom - top) * y.part).round() as u8);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const PLAIN: Interpolation = Interpolation::BilinearNoAntialias;

    fn row(values: &[u8]) -> RgbImage {
        RgbImage::from_fn(values.len() as u32, 1, |x, _| Rgb([values[x as usize]; 3]))
    }

    #[test]
    fn a_pixel_is_interpolated_between_its_nearest_neighbours_only() {
        // Centres at 1.5 and 5.5, 0.83, 3.5 and 6.17, then -0.17, 0.5 and 1.17.
        let eight = row(&[0, 10, 200, 30, 40, 50, 160, 70]);
        assert_eq!(pixels(&eight, [1, 2, 1], PLAIN), [105, 105]);
        assert_eq!(pixels(&eight, [1, 3, 1], PLAIN), [8, 35, 145]);
        assert_eq!(pixels(&row(&[60, 120]), [1, 3, 1], PLAIN), [60, 90, 120]);
        // A tenth of the width: two of ten pixels count, 4 and 5 at the centre 4.5.
        let ten = row(&[255, 255, 255, 255, 0, 0, 255, 255, 255, 255]);
        assert_eq!(pixels(&ten, [1, 1, 1], PLAIN), [0]);
        let mean = pixels(&ten, [1, 1, 1], Interpolation::Bilinear);
        assert!((170..=210).contains(&mean[0]), "{mean:?}");
    }

    #[test]
    fn the_pixels_agree_with_tensorflow() {
        // tf.image.resize of TensorFlow 2.21, rounded.
        let eight = row(&[0, 10, 200, 30, 40, 50, 160, 70]);
        assert_eq!(pixels(&eight, [1, 5, 1], PLAIN), [3, 181, 35, 61, 97]);
        let eleven = [0, 6, 70, 192, 69, 35, 42, 50, 125, 123, 70];
        assert_eq!(pixels(&eight, [1, 11, 1], PLAIN), eleven);
        let image = RgbImage::from_fn(4, 5, |x, y| Rgb([((x * 37 + y * 91) % 256) as u8; 3]));
        let wide = [
            [30, 44, 65, 86, 107, 128, 141],
            [182, 195, 216, 110, 3, 24, 37],
            [78, 91, 112, 133, 154, 175, 189],
        ];
        assert_eq!(pixels(&image, [3, 7, 1], PLAIN), wide.concat());
        assert_eq!(pixels(&image, [2, 2, 1], PLAIN), [87, 161, 58, 132]);
    }

    #[test]
    fn both_directions_and_the_channels_are_interpolated() {
        let corner =
            |x: u32, y: u32| Rgb([(40 * x) as u8, (80 * y) as u8, (40 * x + 80 * y) as u8]);
        let image = RgbImage::from_fn(4, 2, corner);
        // The centres are 0.5 and 2.5 along x, and 0.5 along y.
        assert_eq!(pixels(&image, [1, 2, 3], PLAIN), [20, 40, 60, 100, 40, 140]);
        assert_eq!(pixels(&image, [2, 4, 3], PLAIN), *image.as_raw());
    }
}
