//! Turns pictures of single digits into images like MNIST's.
//!
//! MNIST's digits are bright on a dark background. Each was scaled to fit a box of 20x20 pixels,
//! keeping its aspect ratio, and moved by whole pixels until its centre of mass was in the middle
//! of 28x28. A digit prepared in this way stays unchanged.

use image::{GrayImage, imageops};

use super::picture::{Picture, grey};

/// Height and width of a prepared digit.
pub const SIDE: usize = 28;
/// A description of the preparation.
pub const DESCRIPTION: &str = "as for MNIST: grey, inverted if the background is light, scaled to \
                         fit 20x20, centred by mass in 28x28";
/// Height and width of the box around a digit.
const BOX: u32 = 20;
/// Ink fainter than this, of 255, may be noise and does not enlarge the digit's box.
const FAINT: u8 = 32;
/// The least difference between background and ink.
const LEAST_CONTRAST: i32 = 16;

/// The digit in a picture as 28x28 bytes; `None` if the picture has a single colour.
///
/// The background is the median of the border. What differs from it no more than the border does is
/// background, too.
pub fn digit(picture: &Picture) -> Option<Vec<u8>> {
    let [width, height] = picture.size();
    let ink = ink(&grey(&picture.image), width, height)?;
    // A picture of MNIST's own size has no noise, and its digit already fits its box.
    let faint = if [width, height] == [SIDE; 2] {
        1
    } else {
        FAINT
    };
    let [x, y, width, height] = bounds(&ink, faint)?;
    let mut fitted = fit(&imageops::crop_imm(&ink, x, y, width, height).to_image());
    // Thin lines fade when scaled down.
    let most = fitted.pixels().map(|pixel| pixel.0[0]).max()?.max(1);
    let stretched =
        |value: u8| ((u32::from(value) * 255 + u32::from(most) / 2) / u32::from(most)) as u8;
    fitted
        .pixels_mut()
        .for_each(|pixel| pixel.0[0] = stretched(pixel.0[0]));
    Some(centred(&fitted))
}

/// How much each pixel differs from the background, towards the other end of the scale.
fn ink(grey: &[u8], width: usize, height: usize) -> Option<GrayImage> {
    let border = border(grey, width, height);
    let background = i32::from(border[border.len() / 2]);
    let side = if background > 127 { -1 } else { 1 };
    let above = |value: u8| side * (i32::from(value) - background);
    // A twentieth of the border may be a digit that touches it.
    let mut spread: Vec<i32> = border.iter().map(|&value| above(value)).collect();
    spread.sort_unstable();
    let noise = spread[spread.len() * 19 / 20].clamp(0, 127);
    let most = grey.iter().map(|&value| above(value)).max()?;
    if most - noise < LEAST_CONTRAST {
        return None;
    }
    let scaled = |&value: &u8| {
        let ink = (above(value) - noise).max(0) * 255;
        ((ink + (most - noise) / 2) / (most - noise)) as u8
    };
    let pixels = grey.iter().map(scaled).collect();
    GrayImage::from_raw(width as u32, height as u32, pixels)
}

/// The values along the border, sorted.
fn border(grey: &[u8], width: usize, height: usize) -> Vec<u8> {
    let rows = [&grey[..width], &grey[(height - 1) * width..]];
    let columns = grey
        .chunks_exact(width)
        .flat_map(|row| [row[0], row[width - 1]]);
    let mut border: Vec<u8> = rows.into_iter().flatten().copied().chain(columns).collect();
    border.sort_unstable();
    border
}

/// The smallest box around all ink that is not faint: left, top, width and height.
fn bounds(ink: &GrayImage, faint: u8) -> Option<[u32; 4]> {
    let (mut low, mut high) = ([u32::MAX; 2], [0; 2]);
    for (x, y, pixel) in ink.enumerate_pixels() {
        if pixel.0[0] >= faint {
            for (axis, at) in [x, y].into_iter().enumerate() {
                low[axis] = low[axis].min(at);
                high[axis] = high[axis].max(at + 1);
            }
        }
    }
    (low[0] < high[0]).then(|| [low[0], low[1], high[0] - low[0], high[1] - low[1]])
}

/// Scales the longer side to that of the box.
fn fit(image: &GrayImage) -> GrayImage {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    let scaled = |side: u32| (side * BOX + longer / 2) / longer;
    match (scaled(width).max(1), scaled(height).max(1)) {
        size if size == (width, height) => image.clone(),
        (width, height) => imageops::resize(image, width, height, imageops::FilterType::Triangle),
    }
}

/// Moves the image by whole pixels until its centre of mass is in the middle of the field, without
/// losing ink.
fn centred(image: &GrayImage) -> Vec<u8> {
    let (mut mass, mut moments) = (0, [0; 2]);
    for (x, y, pixel) in image.enumerate_pixels() {
        let ink = u64::from(pixel.0[0]);
        mass += ink;
        // Twice the distance to the pixel's middle.
        moments[0] += ink * u64::from(2 * x + 1);
        moments[1] += ink * u64::from(2 * y + 1);
    }
    let size = [image.width() as usize, image.height() as usize];
    let place = |axis: usize| {
        let middle = moments[axis] as f64 / (2 * mass.max(1)) as f64;
        let most = (SIDE - size[axis]) as f64;
        (0.5 * SIDE as f64 - middle).round().clamp(0.0, most) as usize
    };
    let (left, top) = (place(0), place(1));
    let mut field = vec![0; SIDE * SIDE];
    for (row, line) in image.as_raw().chunks_exact(size[0]).enumerate() {
        let at = (top + row) * SIDE + left;
        field[at..at + size[0]].copy_from_slice(line);
    }
    field
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, imageops::FilterType};

    use super::*;
    use crate::data::digits;

    fn picture(pixels: &[u8], side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| Rgb([pixels[(y * side + x) as usize]; 3]))
    }

    /// The mean difference of two images, with one of them moved by up to a pixel.
    fn distance(a: &[u8], b: &[u8]) -> f64 {
        let moved = |[dx, dy]: [usize; 2]| {
            let sum: u32 = (SIDE + 1..SIDE * (SIDE - 1) - 1)
                .map(|at| u32::from(a[at].abs_diff(b[at + dx + dy * SIDE - SIDE - 1])))
                .sum();
            f64::from(sum) / a.len() as f64
        };
        let shifts = (0..9).map(|i| [i % 3, i / 3]);
        shifts.map(moved).fold(f64::MAX, f64::min)
    }

    #[test]
    fn a_prepared_digit_stays_unchanged() {
        let data = digits::generate(50, 1, 0);
        for i in 0..data.len() {
            let once = digit(&Picture::from(picture(data.image(i), 28))).unwrap();
            let twice = digit(&Picture::from(picture(&once, 28))).unwrap();
            assert_eq!(once, twice, "digit {i}");
        }
    }

    #[test]
    fn size_position_background_and_brightness_do_not_matter() {
        let data = digits::generate(50, 1, 0);
        for i in 0..data.len() {
            let expected = digit(&Picture::from(picture(data.image(i), 28))).unwrap();
            for (scale, [x, y], [background, ink]) in [
                (5, [10, 300], [255, 0]),
                (9, [500, 40], [0, 255]),
                (11, [0, 0], [200, 90]),
                (4, [30, 30], [60, 120]),
            ] {
                let side = 28 * scale;
                let large = imageops::resize(
                    &picture(data.image(i), 28),
                    side,
                    side,
                    FilterType::Triangle,
                );
                let mut page =
                    RgbImage::from_pixel(side + x + 50, side + y + 20, Rgb([background; 3]));
                for (px, py, pixel) in large.enumerate_pixels() {
                    let mix = f32::from(pixel.0[0]) / 255.0;
                    let value =
                        f32::from(background) + (f32::from(ink) - f32::from(background)) * mix;
                    page.put_pixel(px + x, py + y, Rgb([value as u8; 3]));
                }
                let found = digit(&Picture::from(page)).unwrap();
                let distance = distance(&expected, &found);
                // Different digits are about 50 apart.
                assert!(distance < 16.0, "digit {i}, scale {scale}: {distance}");
            }
        }
    }

    #[test]
    fn a_blank_page_holds_no_digit() {
        for value in [0, 128, 255] {
            let page = RgbImage::from_pixel(40, 30, Rgb([value; 3]));
            assert_eq!(digit(&Picture::from(page)), None);
        }
    }

    #[test]
    fn lines_and_dots_are_prepared() {
        for (width, height) in [(1, 1), (1, 300), (300, 1)] {
            let mut page = RgbImage::from_pixel(400, 400, Rgb([255; 3]));
            for (x, y) in (0..width).flat_map(|x| (0..height).map(move |y| (x, y))) {
                page.put_pixel(50 + x, 60 + y, Rgb([0; 3]));
            }
            let found = digit(&Picture::from(page)).unwrap();
            assert_eq!(found.iter().max(), Some(&255));
        }
    }
}
