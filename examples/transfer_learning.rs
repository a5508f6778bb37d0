//! Transfer learning on folders of pictures. A network learns three patterns from many pictures; its
//! convolutions, frozen, then tell two other patterns apart, of which there are few pictures. The
//! example draws all of them itself, in a temporary folder, as PNG files.
//!
//! `cargo run --release --example transfer_learning`
//!
//! The same with the program:
//!
//! ```text
//! cnn-gpu train --model known.toml --dataset folder:known --out runs/known
//! cnn-gpu train --model new.toml --dataset folder:new --weights runs/known \
//!     --skip-mismatch --freeze conv2d_1 --augment photos
//! ```

use std::fs;
use std::path::Path;

use cnn_gpu::data::{ReadOptions, folder};
use cnn_gpu::exec::{self, Device, Selection};
use cnn_gpu::model::{
    Activation, Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D, Sequential, augmentation,
};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::train::{Options, Trainer};
use image::{Rgb, RgbImage};

/// The patterns: whether a pixel has the first of two colours, by its place in units of a width.
type Pattern = (&'static str, fn(u32, u32) -> bool);

const KNOWN: [Pattern; 3] = [
    ("across", |_, y| y.is_multiple_of(2)),
    ("down", |x, _| x.is_multiple_of(2)),
    ("spots", |x, y| x.is_multiple_of(2) && y.is_multiple_of(2)),
];
const NEW: [Pattern; 2] = [
    ("checked", |x, y| (x + y).is_multiple_of(2)),
    ("plain", |_, _| true),
];
const SHAPE: [usize; 3] = [20, 20, 3];

/// Trains twice, and prints the accuracies.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("patterns-{}", std::process::id()));
    let outcome = train_twice(&path);
    fs::remove_dir_all(&path)?;
    outcome
}

fn train_twice(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (known, new) = (path.join("known"), path.join("new"));
    paint_all(&known, &KNOWN, 40)?;
    paint_all(&new, &NEW, 20)?;
    let device = exec::open(&Selection::default())?;
    let (trained, accuracy) = train(network(KNOWN.len()), &known, None, &device)?;
    println!("known patterns: {accuracy:.4}");
    assert!(accuracy > 0.9, "the accuracy is too low");

    // Everything up to this layer keeps its weights; pictures are varied in front of it.
    let photos = augmentation("photos").ok_or("no such augmentation")?;
    let model = network(NEW.len())
        .freeze_until("conv2d_1")?
        .augmented(photos)?;
    let (further, accuracy) = train(model, &new, Some(&trained), &device)?;
    println!("new patterns: {accuracy:.4}");
    assert!(accuracy > 0.8, "the accuracy is too low");
    let kernel = "conv2d/kernel";
    assert_eq!(
        trained.state().parameter(kernel)?,
        further.state().parameter(kernel)?
    );
    Ok(())
}

fn network(classes: usize) -> Sequential {
    Sequential::new(SHAPE)
        .add(Conv2D::new(6, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(8, 3).activation(Activation::Relu))
        .add(GlobalAveragePooling2D::new())
        .add(Dense::new(classes).activation(Activation::Softmax))
}

/// Trains on a folder, from the weights of another network as far as they fit. Returns the trainer
/// and the accuracy on the pictures that were held out.
fn train(
    model: Sequential,
    path: &Path,
    from: Option<&Trainer>,
    device: &Device,
) -> Result<(Trainer, f64), Box<dyn std::error::Error>> {
    let splits = folder::splits(path, &ReadOptions::default().shape(SHAPE), &mut |_| ())?;
    let options = Options::default().epochs(15).batch_size(10);
    let optimizer = options.optimizer.with_learning_rate(0.01);
    let mut trainer = Trainer::new(model, device, options.optimizer(optimizer))?;
    if let Some(from) = from {
        let mut state = trainer.state().clone();
        let anew = state.copy_fitting(from.state());
        let names = anew.iter().map(|&i| &*state.layout.parameters[i].name);
        println!("start anew: {}", names.collect::<Vec<_>>().join(", "));
        trainer.set_state(state)?;
    }
    trainer.fit(&splits.train)?;
    let accuracy = trainer.evaluate(&splits.test)?.accuracy;
    Ok((trainer, accuracy))
}

fn paint_all(path: &Path, patterns: &[Pattern], pictures: u32) -> Result<(), image::ImageError> {
    for (class, (name, pattern)) in patterns.iter().enumerate() {
        let folder = path.join(name);
        fs::create_dir_all(&folder)?;
        for i in 0..pictures {
            let key = Key::new(class as u64).stream(Stream::Check, i);
            paint(*pattern, key).save(folder.join(format!("{i:03}.png")))?;
        }
    }
    Ok(())
}

/// Draws a pattern at a random place in two random colours, a dark and a light one.
fn paint(pattern: fn(u32, u32) -> bool, key: Key) -> RgbImage {
    let width = 2 + key.bits(0) % 3;
    let start = [1, 2].map(|i| key.bits(i) % 8);
    let dark = [3, 4, 5].map(|i| 90.0 * key.uniform(i));
    let light = [6, 7, 8].map(|i| 160.0 + 90.0 * key.uniform(i));
    RgbImage::from_fn(30, 26, |x, y| {
        let is_light = pattern((x + start[0]) / width, (y + start[1]) / width);
        let colour = if is_light { light } else { dark };
        let noise = 20.0 * key.uniform(10 + y * 30 + x);
        Rgb(colour.map(|channel| (channel + noise).clamp(0.0, 255.0) as u8))
    })
}
