//! Files of and for PyTorch.

mod damage;
mod export;

use std::path::Path;

use cnn_gpu::interchange::{Import, Network, torch};
use cnn_gpu::model::{Sequential, preset};
use cnn_gpu::state::{Layout, State};

use super::cases;
use super::expected::{Expected, file};

/// The model of the network `name`.
fn model(name: &str) -> Sequential {
    Sequential::from_file(&file(&format!("torch/{name}.toml"))).unwrap()
}

/// Reads a file, and checks what the network in it computes.
#[track_caller]
fn check(path: &str, name: &str) -> Import {
    let import = torch::read(&file(&format!("torch/{path}")), &model(name)).unwrap();
    Expected::of(&format!("torch/{name}")).check_outputs(&import.network, 1e-5);
    import
}

fn matches(import: &Import) -> Vec<String> {
    let matches = import.matches.iter();
    matches
        .map(|m| format!("{} {:?} {}", m.theirs, m.shape, m.ours))
        .collect()
}

#[test]
fn all_ways_of_saving_give_the_same_network() {
    let reference = check("lab.pt", "lab");
    let hash = reference.network.state.weights_hash();
    for path in [
        "lab.legacy.pt",
        "lab.module.pt",
        "lab.checkpoint.pt",
        "lab.safetensors",
    ] {
        let import = check(path, "lab");
        assert_eq!(import.network.state.weights_hash(), hash, "{path}");
    }
}

#[test]
fn the_tensors_of_a_checkpoint_are_matched_with_parameters() {
    let import = check("lab.checkpoint.pt", "lab");
    let expected = [
        "state_dict.module.conv1.weight [4, 1, 3, 3] conv1/kernel",
        "state_dict.module.conv1.bias [4] conv1/bias",
        "state_dict.module.conv2.weight [6, 4, 2, 2] conv2/kernel",
        "state_dict.module.conv2.bias [6] conv2/bias",
        "state_dict.module.fc1.weight [7, 36] fc1/kernel",
        "state_dict.module.fc1.bias [7] fc1/bias",
        "state_dict.module.fc2.weight [4, 7] fc2/kernel",
        "state_dict.module.fc2.bias [4] fc2/bias",
    ];
    assert_eq!(matches(&import), expected);
    let notes = [
        "took the entry `state_dict` of a checkpoint; its other entries are `epoch`, `arch`, `best_acc1`",
        Import::ASSUMED_PIXELS,
    ];
    assert_eq!(import.notes, notes);
}

#[test]
fn sorted_names_and_normalizations_are_matched() {
    for name in ["norm", "strided"] {
        let pickled = check(&format!("{name}.pt"), name);
        let sorted = check(&format!("{name}.safetensors"), name);
        assert_eq!(matches(&sorted), matches(&pickled));
        // The other one has PyTorch's.
        let has_other = |note: &String| note.contains("assumed epsilon = 0.01 ");
        assert_eq!(sorted.notes.iter().any(has_other), name == "norm");
    }
}

#[test]
fn a_network_with_skip_connections_takes_its_tensors() {
    // PyTorch's modules are in another order than the layers.
    check("residual.pt", "residual");
    check("residual.safetensors", "residual");
}

#[track_caller]
fn refused(path: &str, model: &Sequential, words: &str) {
    let message = torch::read(&file(path), model).unwrap_err().to_string();
    println!("{message}");
    assert!(
        message.contains(words) && !message.contains('\n'),
        "{message}"
    );
}

#[test]
fn what_is_no_state_dict_is_refused_with_what_to_do() {
    let lab = model("lab");
    refused(
        "refused/float16.pt",
        &lab,
        "float16; save the state dict of `net.float()`",
    );
    refused("refused/scripted.pt", &lab, "a TorchScript archive");
    refused("keras/lab.h5", &lab, "HDF5");
    refused("keras/lab.keras", &lab, "without `data.pkl`");
    refused("torch/lab.toml", &lab, "not a file of PyTorch");
    refused("torch/lab.dynamo.onnx", &lab, "not a file of PyTorch");
    refused("torch/none.pt", &lab, "cannot read the weights");
    refused("torch/lab.expected.safetensors", &lab, "`input`");
}

#[test]
fn another_model_is_refused_by_the_first_tensor() {
    let mut wider = model("lab");
    wider.input_shape = [13, 12, 1];
    refused(
        "torch/lab.pt",
        &wider,
        "`fc1.weight`: expected 7x54 for layer `fc1` of the model, found 7x36",
    );
    refused(
        "torch/norm.pt",
        &model("lab"),
        "layer `conv1` of the model: expected weight 4x1x3x3, bias 4",
    );
}

#[test]
fn the_python_of_the_lab_s_network_equals_the_golden_text() {
    let model = preset("mnist-cnn").unwrap();
    let state = State::new(Layout::new(&model).unwrap(), 1);
    let names = (0..10).map(|digit| digit.to_string()).collect();
    let network = Network::new(model, state).class_names(names);
    let text = torch::export(&network).unwrap().model_py;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mnist_cnn_model.py");
    if std::env::var_os("CNN_GPU_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden.replace('\r', ""));
}

#[test]
fn the_networks_of_the_fixtures_come_back() {
    for case in cases::fixtures() {
        let export = torch::export(&case.network).unwrap();
        let read = torch::from_safetensors(&export.weights, &case.network.model).unwrap();
        let hashes = [read.network, case.network].map(|network| network.state.weights_hash());
        assert_eq!(hashes[0], hashes[1], "{}", case.name);
    }
}
