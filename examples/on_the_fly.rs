//! Trains on data generated on the fly: the data set is stored nowhere, never ends, and never
//! repeats an image.
//!
//! `cargo run --release --example on_the_fly`

use cnn_gpu::data::{Batch, Generator};
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::rng::{Key, Stream};
use cnn_gpu::train::{Options, Trainer};

const SIDE: u32 = 16;
const BATCH: u32 = 64;

/// Bright shapes on a noisy background: discs, squares and crosses.
struct Shapes {
    seed: u64,
}

impl Generator for Shapes {
    fn name(&self) -> String {
        "shapes".into()
    }

    fn shape(&self) -> [usize; 3] {
        [SIDE as usize, SIDE as usize, 1]
    }

    fn class_names(&self) -> Vec<String> {
        ["disc", "square", "cross"].map(String::from).to_vec()
    }

    /// A pure function of the number, as threads may generate batches in any order.
    fn batch(&self, number: u64) -> cnn_gpu::Result<Option<Batch>> {
        let mut batch = Batch::default();
        for row in 0..BATCH {
            let sample = number as u32 * BATCH + row;
            let key = Key::new(self.seed).stream(Stream::Check, sample);
            let class = key.bits(0) % 3;
            batch.labels.push(class as u8);
            batch.images.extend(draw(key, class));
        }
        Ok(Some(batch))
    }
}

fn draw(key: Key, class: u32) -> impl Iterator<Item = u8> {
    let radius = 3.0 + 2.0 * key.uniform(1);
    let middle = [2, 3].map(|i| 5.5 + 5.0 * key.uniform(i));
    (0..SIDE * SIDE).map(move |i| {
        let x = ((i % SIDE) as f32 - middle[0]).abs();
        let y = ((i / SIDE) as f32 - middle[1]).abs();
        let inside = match class {
            0 => x * x + y * y < radius * radius,
            1 => x.max(y) < radius * 0.85,
            _ => x.min(y) < radius * 0.3 && x.max(y) < radius,
        };
        let noise = key.bits(10 + i) % 60;
        noise as u8 + if inside { 120 } else { 0 }
    })
}

/// Trains, and prints the accuracy.
pub fn main() -> cnn_gpu::Result<()> {
    let model = Sequential::new([SIDE as usize, SIDE as usize, 1])
        .add(Conv2D::new(8, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(3).activation(Activation::Softmax));

    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(model, &device, Options::default().epochs(5))?;
    let history = trainer.fit_generator(&Shapes { seed: 1 }, Some(300), &mut [])?;
    for epoch in &history.epochs {
        println!("epoch {}: accuracy {:.4}", epoch.epoch, epoch.accuracy);
    }
    let scores = trainer.evaluate_generator(&Shapes { seed: 2 }, Some(20))?;
    println!("unseen shapes: {scores}");
    assert!(scores.accuracy > 0.9, "the accuracy is too low");
    Ok(())
}
