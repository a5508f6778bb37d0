//! The Keras MNIST lab: its model, its data set, its five epochs.
//!
//! `cargo run --release --example mnist_lab`

use cnn_gpu::data::{self, DatasetSpec};
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::train::{Options, Trainer};

fn main() -> cnn_gpu::Result<()> {
    // MNIST, or the built-in digits, with a message, if it cannot be loaded.
    let mnist = data::load(DatasetSpec::Auto, None, &mut |event| eprintln!("{event}"))?;
    let options = Options::default()
        .epochs(5)
        .batch_size(64)
        .optimizer(Optimizer::rmsprop())
        .verbose(2);
    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(network(), &device, options)?;
    trainer.fit(&mnist.train)?;
    println!("test {}", trainer.evaluate(&mnist.test)?);
    Ok(())
}

/// Three convolutions, two poolings, two dense layers: 93,322 parameters.
pub fn network() -> Sequential {
    Sequential::new([28, 28, 1])
        .add(Conv2D::new(32, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(64, 3).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Conv2D::new(64, 3).activation(Activation::Relu))
        .add(Flatten::new())
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax))
}
