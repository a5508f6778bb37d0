//! Exchanges networks with PyTorch: writes modules with their inputs and what our executors
//! compute, for `check_torch_export.py` to compare with PyTorch, and reads the files that it saves:
//!
//! ```text
//! CNN_GPU_TORCH_FOLDER=/tmp/torch cargo test --test interchange -- --ignored modules_are_written
//! python tests/interchange/check_torch_export.py /tmp/torch
//! CNN_GPU_TORCH_FOLDER=/tmp/torch cargo test --test interchange -- --ignored saved_networks
//! ```

use std::path::PathBuf;

use cnn_gpu::interchange::torch;

use crate::{cases, outputs};

fn folder() -> PathBuf {
    let folder = std::env::var_os("CNN_GPU_TORCH_FOLDER");
    folder.expect("CNN_GPU_TORCH_FOLDER is a folder").into()
}

#[test]
#[ignore = "for check_torch_export.py: writes files into the folder CNN_GPU_TORCH_FOLDER"]
fn modules_are_written_with_their_outputs() {
    for case in cases::all() {
        let folder = folder().join(&case.name);
        std::fs::create_dir_all(&folder).unwrap();
        let export = torch::export(&case.network).unwrap();
        std::fs::write(folder.join("model.py"), export.model_py).unwrap();
        std::fs::write(folder.join("weights.safetensors"), export.weights).unwrap();
        outputs::write(&folder.join("expected.safetensors"), &case);
    }
}

#[test]
#[ignore = "reads what check_torch_export.py saved in the folder CNN_GPU_TORCH_FOLDER"]
fn saved_networks_come_back() {
    let mut read = 0;
    for case in cases::all() {
        let expected = case.network.state.weights_hash();
        let files = [
            "saved.pt",
            "legacy.pt",
            "whole.pt",
            "checkpoint.pt",
            "numbered.safetensors",
        ];
        for file in files {
            let path = folder().join(&case.name).join(file);
            let import = torch::read(&path, &case.network.model);
            let import = import.unwrap_or_else(|e| panic!("{e}"));
            let found = import.network.state.weights_hash();
            assert_eq!(found, expected, "{}", path.display());
            read += 1;
        }
    }
    println!("{read} files read");
}
