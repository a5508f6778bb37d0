//! Errors in data sets and models.

use std::fs;

use image::{GrayImage, Luma};
use tempfile::TempDir;

use super::program::{fails, only_says, text};
use super::{colours, idx, model, train};

#[test]
fn a_wrong_number_of_classes_or_channels_is_one_line() {
    let folder = TempDir::new().unwrap();
    colours(&folder.path().join("c"));
    model(folder.path(), "[4, 4, 3]", 10);
    let args = ["--dataset", "folder:c", "--model", "net.toml", "--out", "r"];
    let output = train(folder.path(), &args);
    only_says(&output, 1, "expected 10 classes");
    fails(
        &output,
        1,
        &[
            "data set `folder` with 2 (blue, red)",
            "give the last layer 2 units",
        ],
    );
    assert!(!folder.path().join("r").exists());
    model(folder.path(), "[4, 4, 2]", 2);
    only_says(
        &train(folder.path(), &args),
        1,
        "cannot be read with 2 channels",
    );
}

#[test]
fn invalid_pictures_are_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    colours(&path.join("c"));
    model(path, "[4, 4, 3]", 2);
    let bad = path.join("c/red/4.png");
    let says = |words: &[&str]| {
        let args = ["--dataset", "folder:c", "--model", "net.toml"];
        let output = train(path, &args);
        only_says(&output, 1, "4.png");
        fails(&output, 1, words);
    };
    let good = fs::read(&bad).unwrap();
    fs::write(&bad, &good[..good.len() / 2]).unwrap();
    says(&["damaged picture"]);
    fs::write(&bad, b"GIF89a").unwrap();
    says(&["expected a complete PNG, JPEG, WebP"]);
    fs::write(&bad, b"").unwrap();
    says(&["expected a PNG, JPEG, WebP"]);
    // A truncated JPEG file with the extension of PNG.
    let jpeg = fs::read(path.join("c/red/1.JPG")).unwrap();
    for length in [jpeg.len() - 1, jpeg.len() / 2, 30] {
        fs::write(&bad, &jpeg[..length]).unwrap();
        says(&["the JPEG file is truncated"]);
    }
    // A header that declares 30,000 pixels a side, without any.
    fs::write(&bad, png_that_declares(30_000)).unwrap();
    says(&["at most 2^27"]);
    fs::write(&bad, png_that_declares(10_000)).unwrap();
    says(&["10000x10000 pixels, more than its bytes can hold"]);
}

/// A well-formed PNG file whose header declares a size.
fn png_that_declares(side: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], kind, data, &crc.sum().to_be_bytes()].concat()
    };
    let header = [
        &side.to_be_bytes()[..],
        &side.to_be_bytes(),
        &[8, 2, 0, 0, 0],
    ]
    .concat();
    let signature = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = chunk(b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    [
        signature,
        chunk(b"IHDR", &header),
        data,
        chunk(b"IEND", &[]),
    ]
    .concat()
}

#[test]
fn an_error_about_a_folder_says_what_is_expected() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let says = |words: &str| {
        let output = train(path, &["--dataset", "folder:c"]);
        only_says(&output, 1, words);
    };
    says("cannot be read as a folder");
    fs::create_dir_all(path.join("c/red")).unwrap();
    says("found 0 sub-folders with pictures: expected one per class");
    fs::write(path.join("c/red/notes.txt"), "").unwrap();
    says("red: a class without pictures, but 1 file that is not a picture (1 .txt)");
    let dot = GrayImage::from_pixel(2, 2, Luma([9]));
    dot.save(path.join("c/red/1.png")).unwrap();
    says("found 1 sub-folder with pictures: expected one per class");
    fs::create_dir_all(path.join("c/blue")).unwrap();
    dot.save(path.join("c/blue/1.png")).unwrap();
    says("no pictures are left for testing");
    // The classes of the test part must be training classes.
    for (set, class) in [("train", "a"), ("train", "b"), ("test", "b"), ("test", "z")] {
        let class = path.join("c").join(set).join(class);
        fs::create_dir_all(&class).unwrap();
        dot.save(class.join("1.png")).unwrap();
    }
    says("unknown class z: expected some of the training classes (a, b)");
    fs::remove_dir_all(path.join("c/test/z")).unwrap();
    // The two pictures next to these parts are counted as well.
    let output = train(path, &["--dataset", "folder:c"]);
    fails(&output, 1, &["expected 10 classes"]);
    let words = "2 pictures outside all class folders";
    assert!(text(&output.stderr).contains(words));
}

#[test]
fn an_unavailable_data_set_is_one_line() {
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let says = |dataset: &str, code: i32, words: &str| {
        only_says(&train(path, &["--dataset", dataset]), code, words);
    };
    says("imagenet", 2, "fashion-mnist, kmnist, digits, folder:PATH");
    says("npz:", 2, "npz:PATH");
    says("npz:nowhere.npz", 1, "nowhere.npz");
    says("cifar10:.", 1, "data_batch_1.bin");
    says("idx:.", 1, "found 0 files named *train*images*");
    fs::write(path.join("x.npz"), "no zip").unwrap();
    says("npz:x.npz", 1, "not a valid .npz file");
    says("fashion-mnist", 1, "Fashion-MNIST was not found");
    says("kmnist", 1, "KMNIST was not found");
    // MNIST's files have the same names and shapes, but are not taken for KMNIST's.
    let images = idx(&[60_000, 28, 28], &vec![0; 60_000 * 784]);
    fs::write(path.join("train-images-idx3-ubyte"), images).unwrap();
    for name in [
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        fs::write(path.join(name), "").unwrap();
    }
    let output = train(path, &["--dataset", "kmnist", "--data-dir", "."]);
    only_says(
        &output,
        1,
        "train-images-idx3-ubyte is not the published file: expected",
    );
}
