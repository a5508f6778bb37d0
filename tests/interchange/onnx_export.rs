//! Writes ONNX models with their inputs and the outputs that our executors compute, for
//! `check_onnx_export.py` to compare with ONNX Runtime:
//!
//! ```text
//! CNN_GPU_ONNX_FOLDER=/tmp/onnx cargo test --test interchange -- --ignored onnx
//! python tests/interchange/check_onnx_export.py /tmp/onnx
//! ```

use std::path::PathBuf;

use cnn_gpu::interchange::onnx;

use super::{cases, outputs};

#[test]
#[ignore = "for check_onnx_export.py: writes files into the folder CNN_GPU_ONNX_FOLDER"]
fn networks_are_written_with_their_outputs() {
    let folder = std::env::var_os("CNN_GPU_ONNX_FOLDER").expect("CNN_GPU_ONNX_FOLDER is a folder");
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder).unwrap();
    for mut case in cases::all() {
        case.network.class_names = vec!["a".into(), "\"b\"".into()];
        for (suffix, channels_first) in [("", false), (".channels_first", true)] {
            let options = onnx::Options::default().channels_first(channels_first);
            let export = onnx::to_bytes(&case.network, &options).unwrap();
            let name = format!("{}{suffix}.onnx", case.name);
            std::fs::write(folder.join(name), export.bytes).unwrap();
        }
        let expected = format!("{}.safetensors", case.name);
        outputs::write(&folder.join(expected), &case);
    }
}
