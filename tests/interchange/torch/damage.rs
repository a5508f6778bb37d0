//! Damaged and hostile files of PyTorch.

use std::fs;
use std::io::Write;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use cnn_gpu::interchange::torch;
use cnn_gpu::model::Sequential;

use super::model;
use crate::expected::file;

/// Writes the bytes to a file and reads it.
fn read(bytes: &[u8], model: &Sequential) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.pt");
    fs::write(&path, bytes).unwrap();
    let read = torch::read(&path, model);
    let message = |e: cnn_gpu::Error| {
        let message = e.to_string();
        assert!(!message.contains('\n'), "{message}");
        message
    };
    read.map(|import| import.network.state.weights_hash())
        .map_err(message)
}

const SAVED: [&str; 4] = [
    "lab.pt",
    "lab.legacy.pt",
    "lab.module.pt",
    "lab.checkpoint.pt",
];

fn saved(name: &str) -> Vec<u8> {
    fs::read(file(&format!("torch/{name}"))).unwrap()
}

#[test]
fn truncated_files_are_refused_in_one_line() {
    let lab = model("lab");
    for name in SAVED {
        let bytes = saved(name);
        for length in (0..bytes.len()).step_by(29) {
            let message = read(&bytes[..length], &lab).unwrap_err();
            assert!(!message.is_empty(), "{name} {length}");
        }
    }
}

/// An archive with these entries.
fn archive(entries: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn entries_that_unpack_to_far_more_are_refused() {
    let lab = model("lab");
    let zeros = vec![0; 8 << 20];
    let bombs: [&[(&str, &[u8])]; 2] = [
        &[("net/data.pkl", &zeros)],
        &[("net/data.pkl", b"}."), ("net/data/0", &zeros)],
    ];
    for entries in bombs {
        let message = read(&archive(entries, CompressionMethod::Deflated), &lab).unwrap_err();
        assert!(
            message.contains("more than 100 times its size"),
            "{message}"
        );
    }
}

#[test]
fn pickles_with_too_many_values_are_refused() {
    let lab = model("lab");
    let long = [vec![b'('; 5 << 20], vec![b'.']].concat();
    let many = [b"]".repeat(1 << 18), vec![b'.']].concat();
    for (pickle, words) in [(&long, "longer than 4 MiB"), (&many, "values; save only")] {
        let bytes = archive(&[("net/data.pkl", pickle)], CompressionMethod::Stored);
        let message = read(&bytes, &lab).unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn code_is_not_run() {
    // os.system("touch ran")
    let pickle = b"\x80\x02cposix\nsystem\nX\x09\x00\x00\x00touch ran\x85R.";
    let bytes = archive(&[("net/data.pkl", pickle)], CompressionMethod::Stored);
    let message = read(&bytes, &model("lab")).unwrap_err();
    assert!(message.contains("holds no state dict"), "{message}");
    assert!(!std::path::Path::new("ran").exists());
}
