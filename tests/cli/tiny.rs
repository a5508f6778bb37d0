//! A network and images that train in an instant, also without optimization.

use std::fs;
use std::path::Path;
use std::process::Output;

use super::program::{run, text};

/// Images of 4x4 in three classes.
const IMAGES: [(&str, usize); 2] = [("train", 24), ("t10k", 9)];

const MODEL: &str = "\
name = \"tiny\"
input_shape = [4, 4, 1]

[[layers]]
type = \"Conv2D\"
filters = 4
kernel_size = 3
activation = \"relu\"
name = \"conv\"

[[layers]]
type = \"BatchNormalization\"

[[layers]]
type = \"Dropout\"
rate = 0.25

[[layers]]
type = \"Flatten\"

[[layers]]
type = \"Dense\"
units = 3
activation = \"softmax\"
name = \"head\"
";

/// Writes the images as `data`, and the network as `tiny.toml`.
pub fn prepare(folder: &Path) {
    let data = folder.join("data");
    fs::create_dir(&data).unwrap();
    for (part, n) in IMAGES {
        let pixels: Vec<u8> = (0..n * 16).map(|i| (i * i * 37 % 251) as u8).collect();
        let labels: Vec<u8> = (0..n).map(|i| (i % 3) as u8).collect();
        let file = |kind: &str| data.join(format!("{part}-{kind}-ubyte"));
        fs::write(file("images-idx3"), idx(&[n, 4, 4], &pixels)).unwrap();
        fs::write(file("labels-idx1"), idx(&[n], &labels)).unwrap();
    }
    fs::write(folder.join("tiny.toml"), MODEL).unwrap();
}

/// An array of bytes in IDX format.
pub fn idx(shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, shape.len() as u8];
    file.extend(shape.iter().flat_map(|&n| (n as u32).to_be_bytes()));
    file.extend_from_slice(bytes);
    file
}

/// Trains on the images.
pub fn train(folder: &Path, more: &[&str]) -> Output {
    let args = "train --backend cpu --dataset idx:data --batch-size 8 --epochs 2";
    let args: Vec<&str> = args.split(' ').collect();
    run(folder, &[&args, more].concat())
}

/// Trains the network into `out`.
pub fn trained(folder: &Path, out: &str, more: &[&str]) {
    let args = ["--model", "tiny.toml", "--out", out];
    let output = train(folder, &[&args, more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// Trains the network of the file `model` into `out`.
pub fn trained_as(folder: &Path, model: &str, out: &str) {
    let output = train(folder, &["--model", model, "--out", out]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
