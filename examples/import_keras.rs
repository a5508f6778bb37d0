//! Trains a network of Keras further, with the optimizer's state, and classifies with it.
//!
//! `cargo run --release --example import_keras net.keras`, for images of 28x28; without a file the
//! example writes one itself.

use std::fs;
use std::path::{Path, PathBuf};

use cnn_gpu::data::digits;
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::interchange::{self, ImportOptions, Network, keras};
use cnn_gpu::model::preset;
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::state::{Layout, State};
use cnn_gpu::train::{Options, Trainer};

/// Imports a file; files of ONNX and PyTorch are read in the same way.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    if let Some(path) = given.filter(|path| path.extension().is_some_and(|end| end == "keras")) {
        return train(&path);
    }
    let path = std::env::temp_dir().join(format!("digits-{}.keras", std::process::id()));
    let outcome = write(&path).and_then(|()| train(&path));
    fs::remove_file(&path)?;
    outcome
}

/// Writes an untrained network, compiled with Adam.
fn write(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let model = preset("mnist-mlp").ok_or("no such preset")?;
    let state = State::new(Layout::new(&model)?, 1);
    let network = Network::new(model, state).optimizer(Optimizer::adam());
    Ok(fs::write(path, keras::to_bytes(&network)?.bytes)?)
}

fn train(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let import = interchange::read(path, &ImportOptions::default())?;
    for line in &import.notes {
        println!("note: {line}");
    }
    for found in &import.matches {
        println!("{} {:?} is {}", found.theirs, found.shape, found.ours);
    }
    let network = import.network;
    let optimizer = network.optimizer.unwrap_or_default();
    let options = Options::default().epochs(2).optimizer(optimizer);
    let device = exec::open(&Selection::default())?;
    let mut trainer = Trainer::new(network.model, &device, options)?;
    // With the weights come the moments and the number of steps.
    trainer.set_state(network.state)?;
    trainer.fit(&digits::generate(2_000, 1, 0))?;

    let test = digits::generate(200, 1, 2_000);
    let scores = trainer.evaluate(&test)?;
    println!("{scores}");
    assert!(scores.accuracy > 0.5, "the network did not learn");
    let prediction = &trainer.predict(test.image(0))?[0];
    println!("the first image is a {}", prediction.class);
    Ok(())
}
