//! Your own data sets, predictions and pictures, with the program.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod errors;
mod pages;
#[path = "../program/mod.rs"]
mod program;
mod show;
mod training;

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use jpeg_encoder::{ColorType, Encoder};

use program::run;

/// Writes the TOML file of a model.
fn model(folder: &Path, shape: &str, classes: usize) {
    let text = format!(
        "input_shape = {shape}\n[[layers]]\ntype = \"Flatten\"\n[[layers]]\ntype = \"Dense\"\n\
         units = {classes}\nactivation = \"softmax\"\n"
    );
    fs::write(folder.join("net.toml"), text).unwrap();
}

fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    [&bytes, data].concat()
}

/// Trains on the CPU without progress output.
fn train(folder: &Path, more: &[&str]) -> std::process::Output {
    let args = ["train", "--backend", "cpu", "--verbose", "0"];
    run(folder, &[&args, more].concat())
}

/// Writes ten red and ten blue pictures of 6x9 pixels, as PNG and JPEG.
fn colours(folder: &Path) {
    for (class, colour) in [("blue", [30, 40, 220]), ("red", [230, 40, 30])] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..10 {
            let shade = |channel: u8| channel.saturating_sub(i * 2);
            let image = RgbImage::from_pixel(6, 9, Rgb(colour.map(shade)));
            let extension = if i % 2 == 0 { "png" } else { "JPG" };
            let path = folder.join(class).join(format!("{i}.{extension}"));
            match extension {
                "png" => image.save(path).unwrap(),
                _ => Encoder::new_file(path, 90)
                    .and_then(|encoder| encoder.encode(&image, 6, 9, ColorType::Rgb))
                    .unwrap(),
            }
        }
        fs::write(folder.join(class).join("notes.txt"), "not a picture").unwrap();
    }
}
