//! Pictures, and what the program makes of them; the page must make the same.

use cnn_gpu::data::{Interpolation, Picture, digits, prepare};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

/// Shapes of networks' inputs, larger and smaller than the pictures.
const SHAPES: [[usize; 3]; 3] = [[28, 28, 1], [32, 24, 3], [96, 110, 3]];

/// Sizes of pictures.
const SIZES: [[u32; 2]; 4] = [[28, 28], [90, 61], [45, 120], [280, 280]];

/// A digit of the program's, stretched over a picture with noise: bright on dark or dark on light,
/// with a tint.
fn picture(index: u32, [width, height]: [u32; 2], is_dark: bool) -> RgbImage {
    let digit = digits::generate(1, 3, index);
    RgbImage::from_fn(width, height, |x, y| {
        let [row, column] = [y * 28 / height, x * 28 / width];
        let ink = i32::from(digit.image(0)[(row * 28 + column) as usize]);
        let noise = ((x * 31 + y * 17 + index * 7) % 13) as i32;
        let level = if is_dark { ink } else { 255 - ink };
        Rgb([0, 1, 2].map(|channel| (level * (10 - channel) / 10 + noise).clamp(0, 255) as u8))
    })
}

/// Pictures with what `cnn-gpu predict` makes of them, for `page.mjs`.
pub fn pictures() -> Value {
    let kinds = SIZES.into_iter().zip(0..);
    let kinds = kinds.flat_map(|(size, index)| [(size, index, true), (size, index, false)]);
    let all = kinds.map(|(size, index, is_dark)| {
        let image = picture(index, size, is_dark);
        let picture = Picture::from(image.clone());
        let resized = Interpolation::ALL.iter().flat_map(|&interpolation| {
            let picture = &picture;
            SHAPES.map(|shape| {
                json!({
                    "interpolation": interpolation.name(),
                    "shape": shape,
                    "data": picture.resized_by(interpolation, shape).unwrap(),
                })
            })
        });
        json!({
            "width": size[0],
            "height": size[1],
            "data": image.as_raw(),
            "digit": prepare::digit(&picture).unwrap(),
            "resized": resized.collect::<Vec<_>>(),
        })
    });
    all.collect()
}
