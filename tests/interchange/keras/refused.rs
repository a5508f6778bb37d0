//! Files that are refused, in one line that names what is wrong.

use std::io::{Cursor, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use cnn_gpu::interchange::{inference_form, keras};
use cnn_gpu::model::{Activation, Dense, Flatten, Sequential};

use super::super::expected::file;

/// A model without weights.
const CONFIG: &[u8] = br#"{"class_name": "Sequential", "config": {"layers": [
    {"class_name": "Flatten", "config": {"name": "a", "batch_shape": [null, 4, 1, 1]}}]}}"#;

/// A file of the hostile corpus.
fn hostile(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/corpus/keras");
    std::fs::read(folder.join(name)).unwrap()
}

fn model(inputs: usize, units: usize) -> Sequential {
    Sequential::new([1, inputs, 1])
        .add(Flatten::new())
        .add(Dense::new(units).activation(Activation::Softmax))
}

/// The error for these contents.
fn refusal(bytes: Vec<u8>, model: &Sequential) -> String {
    let read = keras::from_bytes(bytes, Some(model));
    let message = read.map(|_| ()).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    message
}

#[test]
fn layers_that_do_not_exist_here_are_refused_by_name() {
    for (name, part) in [
        (
            "refused/gated.keras",
            "layer `multiply` (Multiply): it joins several inputs",
        ),
        (
            "refused/mixed.keras",
            "layer `dense` (Dense): its dtype policy is `mixed_bfloat16`",
        ),
        (
            "refused/slope.keras",
            "layer `leaky_re_lu` (LeakyReLU): its negative_slope is 0.3",
        ),
        (
            "refused/transposed.keras",
            "(Conv2DTranspose): there is no such layer here",
        ),
        ("keras/lab.json", "a JSON text"),
        ("keras/lab.toml", "not a file of Keras"),
        ("keras/missing.keras", "cannot read the model"),
    ] {
        let message = keras::read(&file(name), None).unwrap_err().to_string();
        let place = file(name).display().to_string();
        assert!(
            message.starts_with(&place) && message.contains(part),
            "{message}"
        );
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn weights_that_are_not_in_the_file_are_refused() {
    for (name, part) in [
        (
            "soft_link",
            "expected a complete file without soft or external links",
        ),
        ("soft_link_latest", "lacks the weights layers/dense/vars/0"),
        ("external_link", "layers/dense/vars"),
        (
            "external_link_latest",
            "lacks the weights layers/dense/vars/0",
        ),
        (
            "external_data",
            "layers/dense/vars/0 has no values in this file",
        ),
        ("virtual_data", "layers/dense/vars/0 refers to other files"),
        (
            "missing",
            "lacks the weights layers/dense/vars/1, which are dense/bias",
        ),
        (
            "extra",
            "holds the weights layers/dense_1/vars/0, which the model lacks",
        ),
        (
            "nested",
            "holds the weights layers/sequential/layers/dense/vars/0, which the model lacks",
        ),
        (
            "nested_loop",
            "holds too many groups in layers/flatten/loop/loop",
        ),
        (
            "float64",
            "layers/dense/vars/0 is of the type float64: expected float32",
        ),
        (
            "huge_chunk",
            "layers/dense/vars/0 is stored in chunks that are larger than itself",
        ),
    ] {
        let message = refusal(hostile(&format!("{name}.weights.h5")), &model(4, 3));
        assert!(message.contains(part), "{name}: {message}");
    }
    let message = refusal(hostile("float64.weights.h5"), &model(5, 3));
    assert!(message.contains("float32"), "{message}");
    let message = refusal(hostile("big_endian.weights.h5"), &model(5, 3));
    assert!(
        message.contains("has the shape 4x3: expected 5x3 for dense/kernel"),
        "{message}"
    );
}

#[test]
fn weights_that_expand_a_hundred_times_are_refused() {
    for (name, size) in [("unwritten_chunks", 1 << 15), ("expanding", 1 << 10)] {
        let message = refusal(hostile(&format!("{name}.weights.h5")), &model(size, size));
        assert!(
            message.contains("more than the file can hold"),
            "{name}: {message}"
        );
    }
    let zeros = vec![0; 1 << 20];
    let members = [
        ("config.json", CONFIG.to_vec()),
        ("model.weights.h5", zeros),
    ];
    let bomb = archive(CompressionMethod::Deflated, &named(members));
    let message = refusal(bomb, &model(4, 3));
    assert!(message.contains("more than 100 times"), "{message}");
}

#[test]
fn archives_without_weights_are_refused_by_what_they_hold() {
    for (name, part) in [
        ("model.weights.npz", "its weights are in model.weights.npz"),
        (
            "model.weights.json",
            "its weights are in model.weights.json",
        ),
        ("readme", "lacks model.weights.h5"),
    ] {
        let members = [("config.json", CONFIG.to_vec()), (name, Vec::new())];
        let bytes = archive(CompressionMethod::Stored, &named(members));
        let message = refusal(bytes, &model(4, 3));
        assert!(message.contains(part), "{message}");
    }
    let message = refusal(archive(CompressionMethod::Stored, &[]), &model(4, 3));
    assert!(message.contains("lacks config.json"), "{message}");
}

#[test]
fn packed_and_big_endian_weights_are_read() {
    let read = |name: &str, model: &Sequential| {
        let import = keras::from_bytes(hostile(name), Some(model));
        import
            .unwrap_or_else(|e| panic!("{e}"))
            .network
            .state
            .params
    };
    let plain = read("keras.weights.h5", &model(4, 3));
    assert_eq!(read("packed.weights.h5", &model(4, 3)), plain);
    assert_eq!(read("keras.h5", &model(4, 3)), plain);
    let numbers: Vec<f32> = (0..12).map(|i| i as f32).collect();
    assert_eq!(read("big_endian.weights.h5", &model(4, 3))[..12], numbers);
}

#[test]
fn a_packed_archive_is_read() {
    let stored = std::fs::read(file("keras/lab.keras")).unwrap();
    let members = members(&stored);
    let packed = archive(CompressionMethod::Deflated, &members);
    assert!(packed.len() < stored.len());
    let [read, expected] = [packed, stored].map(|bytes| keras::from_bytes(bytes, None).unwrap());
    assert_eq!(read.network.state.params, expected.network.state.params);
}

#[test]
fn every_truncation_is_refused_in_one_line() {
    let written = keras::to_bytes(&super::networks::network(model(2, 2), None))
        .unwrap()
        .bytes;
    let stored = hostile("keras.weights.h5");
    for (bytes, stride) in [(written, 1), (stored, 61)] {
        for length in (0..bytes.len()).step_by(stride) {
            // What comes last in a file is not always needed.
            let read = keras::from_bytes(bytes[..length].to_vec(), Some(&model(4, 3)));
            if let Err(e) = read {
                assert!(!e.to_string().contains('\n'), "{length}: {e}");
            }
        }
    }
}

#[test]
fn every_flipped_byte_of_an_archive_is_noticed_or_harmless() {
    let written = keras::to_bytes(&super::networks::network(model(2, 2), None))
        .unwrap()
        .bytes;
    let expected = keras::from_bytes(written.clone(), None).unwrap();
    for i in 0..written.len() {
        let mut flipped = written.clone();
        flipped[i] ^= 0x21;
        if let Ok(read) = keras::from_bytes(flipped, None) {
            assert_eq!(
                read.network.state.params, expected.network.state.params,
                "byte {i}"
            );
            let [read, expected] = [&read, &expected].map(|i| inference_form(&i.network.model));
            assert_eq!(read.unwrap(), expected.unwrap(), "byte {i}");
        }
    }
}

fn named(members: [(&str, Vec<u8>); 2]) -> [(String, Vec<u8>); 2] {
    members.map(|(name, bytes)| (name.to_owned(), bytes))
}

/// The members of an archive.
pub fn members(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut zip = ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut members = Vec::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).unwrap();
        let mut bytes = Vec::new();
        std::io::copy(&mut entry, &mut bytes).unwrap();
        members.push((entry.name().unwrap().to_string(), bytes));
    }
    members
}

/// An archive of these members.
pub fn archive(method: CompressionMethod, members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        zip.start_file(name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
