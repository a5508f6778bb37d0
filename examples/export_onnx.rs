//! Trains a network and writes it for other programs: as ONNX, as a file of Keras, and as a module
//! of PyTorch.
//!
//! `cargo run --release --example export_onnx`

use std::fs;
use std::path::Path;

use cnn_gpu::data::digits;
use cnn_gpu::exec::{self, Selection};
use cnn_gpu::interchange::{self, ImportOptions, Network, keras, onnx, torch};
use cnn_gpu::model::{Activation, Conv2D, Dense, Flatten, MaxPooling2D, Sequential};
use cnn_gpu::optimizer::Optimizer;
use cnn_gpu::train::{Options, Trainer};

/// Exports into a temporary folder, and compares what is read again.
pub fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::temp_dir().join(format!("export-{}", std::process::id()));
    fs::create_dir_all(&path)?;
    let outcome = train().and_then(|network| export(&network, &path));
    fs::remove_dir_all(&path)?;
    outcome
}

fn train() -> Result<Network, Box<dyn std::error::Error>> {
    let model = Sequential::new([28, 28, 1])
        .add(Conv2D::new(8, 5).strides(2).activation(Activation::Relu))
        .add(MaxPooling2D::new(2))
        .add(Flatten::new())
        .add(Dense::new(10).activation(Activation::Softmax));
    let device = exec::open(&Selection::default())?;
    let optimizer = Optimizer::adam();
    let options = Options::default().epochs(1).optimizer(optimizer);
    let mut trainer = Trainer::new(model, &device, options)?;
    trainer.fit(&digits::generate(640, 1, 0))?;
    let names = (0..10).map(|digit| digit.to_string()).collect();
    Ok(
        Network::new(trainer.model().clone(), trainer.state().clone())
            .optimizer(optimizer)
            .class_names(names),
    )
}

fn export(network: &Network, folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    // Images are [batch, height, width, channels], unless `channels_first` is set.
    let onnx = onnx::to_bytes(network, &onnx::Options::default())?;
    for line in &onnx.left_behind {
        println!("ONNX leaves behind {line}");
    }
    fs::write(folder.join("digits.onnx"), onnx.bytes)?;
    fs::write(folder.join("digits.keras"), keras::to_bytes(network)?.bytes)?;
    // In Python: `import model; net = model.load()`
    let module = torch::export(network)?;
    fs::write(folder.join(torch::TorchExport::MODEL_FILE), module.model_py)?;
    fs::write(
        folder.join(torch::TorchExport::WEIGHTS_FILE),
        module.weights,
    )?;

    for name in ["digits.onnx", "digits.keras", "weights.safetensors"] {
        let again = interchange::read(&folder.join(name), &ImportOptions::default())?.network;
        assert_eq!(again.model, network.model);
        assert_eq!(again.class_names, network.class_names);
        assert_eq!(again.state.weights_hash(), network.state.weights_hash());
        println!("{name} holds the same weights");
    }
    Ok(())
}
