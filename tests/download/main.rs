//! Finding, downloading and checking MNIST, with a local server and a tiny data set.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod files;
mod mirrors;
mod server;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use cnn_gpu::data::{
    Content, DataError, DatasetSpec, Event, Hashed, Mirrors, MnistFile, Published, Sources, Splits,
    load_from,
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// The four files of a tiny data set: name, content, samples.
const FILES: [(&str, Content, usize); 4] = [
    ("train-images-idx3-ubyte", Content::Images, 3),
    ("train-labels-idx1-ubyte", Content::Labels, 3),
    ("t10k-images-idx3-ubyte", Content::Images, 2),
    ("t10k-labels-idx1-ubyte", Content::Labels, 2),
];

/// The unpacked bytes of a file.
fn contents(name: &str) -> Vec<u8> {
    match FILES.iter().find(|file| file.0 == name) {
        Some((_, Content::Images, n)) => {
            let pixels: Vec<u8> = (0..n * 784).map(|i| (i * 7 % 251) as u8).collect();
            idx(&[*n, 28, 28], &pixels)
        }
        Some((_, Content::Labels, n)) => {
            idx(&[*n], &(0..*n).map(|i| i as u8 * 3).collect::<Vec<_>>())
        }
        None => Vec::new(),
    }
}

fn idx(dims: &[usize], data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, dims.len() as u8];
    for &dim in dims {
        bytes.extend((dim as u32).to_be_bytes());
    }
    bytes.extend(data);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Sources without any folder named by the user: a cache folder and mirrors.
fn sources(cache: &Path, urls: &[&str]) -> Sources {
    let mut sources = Sources::of(Published::Mnist, None);
    sources.variable = None;
    sources.cache = Some(cache.into());
    sources.mirrors = Mirrors::default();
    sources.mirrors.urls = urls.iter().map(|url| url.to_string()).collect();
    sources.mirrors.idle_timeout = Duration::from_secs(1);
    sources.mirrors.use_proxy = false;
    sources.files = FILES.map(|(name, content, samples)| {
        let sha256 = sha256(&contents(name));
        MnistFile::new(name, content, samples, sha256, Hashed::Unpacked)
    });
    sources
}

/// Writes all four files into a folder, packed or not.
fn fill(folder: &Path, packed: bool) {
    for (name, ..) in FILES {
        if packed {
            fs::write(folder.join(format!("{name}.gz")), gzip(&contents(name))).unwrap()
        } else {
            fs::write(folder.join(name), contents(name)).unwrap()
        }
    }
}

/// Loads; returns also the events.
fn load(spec: DatasetSpec, sources: &Sources) -> (Result<Splits, DataError>, Vec<Event>) {
    let mut events = Vec::new();
    let result = load_from(spec, sources, &mut |event| events.push(event.clone()));
    (result, events)
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn assert_is_the_tiny_set(splits: &Splits) {
    assert_eq!((splits.train.len(), splits.test.len()), (3, 2));
    assert_eq!(splits.train.shape(), [28, 28, 1]);
    assert_eq!(splits.train.labels(), [0, 3, 6]);
    assert_eq!(
        splits.test.images(),
        &contents("t10k-images-idx3-ubyte")[16..]
    );
}

fn assert_is_one_line(error: &DataError) {
    let message = error.to_string();
    assert!(!message.contains('\n'), "{message}");
}
