//! Trains on a folder of colour pictures, one sub-folder per class. The example draws the pictures
//! itself, in a temporary folder: three kinds of fruit as PNG files of different sizes.
//!
//! `cargo run --release --example image_folder`

use std::fs;
use std::path::Path;

use cnn_gpu::data::{ReadOptions, folder};
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::train::{Options, Trainer};
use image::{Rgb, RgbImage};

/// A kind of fruit: its name, its colour, and its width and height.
type Fruit = (&'static str, [f32; 3], [f32; 2]);

const FRUIT: [Fruit; 3] = [
    ("apple", [190.0, 50.0, 40.0], [0.34, 0.32]),
    ("banana", [220.0, 190.0, 60.0], [0.42, 0.16]),
    ("lime", [80.0, 170.0, 60.0], [0.30, 0.27]),
];
const PICTURES: u32 = 80;

/// Trains, and prints the accuracy.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("fruit-{}", std::process::id()));
    let outcome = paint_all(&path).and_then(|()| train(&path));
    fs::remove_dir_all(&path)?;
    outcome
}

fn train(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let shape = [32, 32, 3];
    // Reads batches while the device works; `folder::splits` would load everything into memory.
    let options = ReadOptions::default().shape(shape);
    let folder::Parts { train, test, .. } = folder::find(path, &options)?;
    println!("{} pictures of {}", train.len(), train.classes().join(", "));
    let model = Sequential::new(shape)
        .add(Conv2D::new(8, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(FRUIT.len()).activation(Activation::Softmax));

    let device = exec::open(&Selection::default())?;
    let options = Options::default().epochs(4).batch_size(16);
    let mut trainer = Trainer::new(model, &device, options)?;
    let history = trainer.fit_generator(&train.stream(16, 1)?, None, &mut [])?;
    for epoch in &history.epochs {
        println!("epoch {}: accuracy {:.4}", epoch.epoch, epoch.accuracy);
    }
    let scores = trainer.evaluate(&test.load()?)?;
    println!("held-out pictures: {scores}");
    assert!(scores.accuracy > 0.9, "the accuracy is too low");
    Ok(())
}

fn paint_all(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    for (class, fruit) in FRUIT.iter().enumerate() {
        let folder = path.join(fruit.0);
        fs::create_dir_all(&folder)?;
        for i in 0..PICTURES {
            let key = Key::new(class as u64).stream(Stream::Check, i);
            paint(fruit, key).save(folder.join(format!("{i:03}.png")))?;
        }
    }
    Ok(())
}

/// Draws a fruit at a random position on a table of a random colour.
fn paint((_, colour, size): &Fruit, key: Key) -> RgbImage {
    let side = 40 + key.bits(0) % 40;
    let table = [1, 2, 3].map(|i| 120.0 + 110.0 * key.uniform(i));
    let middle = [4, 5].map(|i| 0.4 + 0.2 * key.uniform(i));
    let light = 0.8 + 0.3 * key.uniform(6);
    RgbImage::from_fn(side, side, |x, y| {
        let from = [
            x as f32 / side as f32 - middle[0],
            y as f32 / side as f32 - middle[1],
        ];
        let distance = (from[0] / size[0]).powi(2) + (from[1] / size[1]).powi(2);
        let noise = 24.0 * key.uniform(10 + y * side + x);
        let inside = distance < 1.0;
        let shade = if inside {
            light * (1.1 - 0.5 * distance)
        } else {
            1.0
        };
        let base = if inside { colour } else { &table };
        Rgb(base.map(|channel| (channel * shade + noise).clamp(0.0, 255.0) as u8))
    })
}
