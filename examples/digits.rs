//! Defines, trains and evaluates a small network on the built-in digits.
//!
//! `cargo run --release --example digits`

use cnn_gpu::data::digits;
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::train::{Options, Trainer};

fn main() -> cnn_gpu::Result<()> {
    let data = digits::splits();
    let model = Sequential::new([28, 28, 1])
        .add(Conv2D::new(16, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(32, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));

    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(model, &device, Options::default().epochs(1))?;
    let history = trainer.fit(&data.train)?;
    let scores = trainer.evaluate(&data.test)?;

    let speed = history.images_per_second();
    println!(
        "{}: {speed:.0} images/s, test {scores}",
        trainer.describe().adapter
    );
    Ok(())
}
